/** One's documents: made, opened, renamed, deleted and brought back. */
import type { DocumentInfo } from './api.ts';
import { askText, askWhether } from './dialogs.ts';
import { h, icon, momentInWords } from './dom.ts';
import { messageOf } from './http.ts';
import { notice } from './notices.ts';
import { SignedOut } from './session.ts';
import { brand, pageLink, type SignedInApp, type View } from './view.ts';

const ROLE_NOTES = { owner: '', editor: 'shared with you', viewer: 'shared with you, to read' } as const;
/** What the server takes. */
export const TITLE_CHARS_MAX = 255;
/** Title of a document that was just made. */
export const UNTITLED = 'Untitled';

/** The view at `/`. */
export function documentsView(app: SignedInApp): View {
  document.title = 'Documents · Concord';
  const list = new DocumentList(app);
  const signOut = async (): Promise<void> => {
    const question = 'Some of what you wrote is not saved yet, and would be lost.';
    if (!app.live.has_unsaved || (await askWhether('Sign out?', question, 'Sign out'))) await app.session.signOut();
  };
  const root = h(
    'div',
    { class: 'documents' },
    h(
      'header',
      { class: 'top' },
      brand(),
      h(
        'span',
        { class: 'account' },
        h('span', { class: 'quiet' }, app.user.display_name),
        h('button', { type: 'button', class: 'plain', onclick: signOut }, 'Sign out'),
      ),
    ),
    list.root,
  );
  return { root, close: () => {} };
}

class DocumentList {
  readonly #items = h('ul', { class: 'list' });
  readonly #more = h('button', { type: 'button', class: 'plain', hidden: true }, 'Show more');
  readonly #tabs: readonly HTMLElement[];
  readonly root: HTMLElement;
  #deleted = false;
  #cursor: string | null = null;

  constructor(private readonly app: SignedInApp) {
    this.#tabs = [false, true].map((deleted) => {
      const onclick = (): void => void this.#show(deleted);
      return h('button', { type: 'button', class: 'tab', onclick }, deleted ? 'Deleted' : 'Documents');
    });
    this.#more.addEventListener('click', () => void this.#load(false));
    const onclick = (): void => void this.#create();
    const create = h('button', { type: 'button', class: 'primary', 'aria-label': 'New document', onclick });
    create.append(icon('plus'), 'New', h('span', { class: 'if-wide' }, 'document'));
    const bar = h(
      'div',
      { class: 'bar' },
      h('div', { class: 'tabs', role: 'group', 'aria-label': 'Which documents' }, ...this.#tabs),
      create,
    );
    this.root = h('main', {}, h('h1', { class: 'unseen' }, 'Documents'), bar, this.#items, this.#more);
    void this.#show(false);
  }

  #show(deleted: boolean): Promise<void> {
    this.#deleted = deleted;
    for (const [i, tab] of this.#tabs.entries()) tab.setAttribute('aria-pressed', String(deleted === (i === 1)));
    return this.#load(true);
  }

  async #load(afresh: boolean): Promise<void> {
    const deleted = this.#deleted;
    await this.#attempt(async () => {
      const page = await this.app.api.documents(deleted, afresh ? null : this.#cursor);
      if (deleted !== this.#deleted) return;
      const rows = page.items.map((item) => this.#row(item));
      // Who works without a mouse must not be thrown back to the top of the page.
      const had_focus = this.#items.contains(document.activeElement);
      if (afresh) this.#items.replaceChildren(...(rows.length > 0 ? rows : [this.#nothing()]));
      else this.#items.append(...rows);
      this.#cursor = page.next_cursor;
      this.#more.hidden = page.next_cursor === null;
      if (had_focus) (this.#items.querySelector<HTMLElement>('a, button') ?? this.#tabs[deleted ? 1 : 0])?.focus();
    });
  }

  #nothing(): HTMLElement {
    const words = this.#deleted
      ? 'Nothing was deleted.'
      : 'Nothing here yet. Make a document, and share it with somebody.';
    return h('li', { class: 'nothing quiet' }, words);
  }

  #row(item: DocumentInfo): HTMLElement {
    const { id, title, role, updated_at, deleted } = item;
    const note = [momentInWords(updated_at), ROLE_NOTES[role]].filter(Boolean).join(' · ');
    const name = deleted
      ? h('span', { class: 'title' }, title)
      : pageLink(this.app, `/d/${id}`, { class: 'title' }, title);
    const act = (label: string, run: () => Promise<void>): HTMLElement =>
      h(
        'button',
        { type: 'button', class: 'plain', 'aria-label': `${label}: ${title}`, onclick: () => void this.#attempt(run) },
        label,
      );
    return h(
      'li',
      {},
      h('span', { class: 'what' }, name, h('span', { class: 'quiet' }, note)),
      !deleted && role !== 'viewer' && act('Rename', () => this.#rename(item)),
      !deleted && role === 'owner' && act('Delete', () => this.#remove(item)),
      deleted && act('Undelete', () => this.#undelete(item)),
    );
  }

  #create(): Promise<void> {
    return this.#attempt(async () => {
      const { id } = await this.app.api.createDocument(UNTITLED);
      this.app.go(`/d/${id}`);
    });
  }

  async #rename({ id, title }: DocumentInfo): Promise<void> {
    const question = { title: 'Rename', label: 'Title', value: title, action: 'Rename', length_max: TITLE_CHARS_MAX };
    const answer = await askText(question);
    if (answer === null || answer === title) return;
    await this.app.api.rename(id, answer);
    await this.#load(true);
  }

  async #remove(item: DocumentInfo): Promise<void> {
    await this.app.api.remove(item.id);
    await this.#load(true);
    const run = (): void => void this.#attempt(() => this.#undelete(item));
    notice(`“${item.title}” was deleted.`, { label: 'Undelete', run });
  }

  async #undelete({ id, title }: DocumentInfo): Promise<void> {
    await this.app.api.undelete(id);
    await this.#load(true);
    notice(`“${title}” is back.`);
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof SignedOut)) notice(messageOf(error));
    }
  }
}
