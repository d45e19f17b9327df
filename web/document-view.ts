/**
 * The view of one document. It asks REST what the document is called and what one may do, shows the text, and asks again
 * whenever that may have changed: after a reconnect, when another page has told so, when the server refused an edit, and
 * when somebody comes back to the tab.
 *
 * Becoming a reader. What was typed after the role changed is in this window and the server will not take it; left there
 * it would look like part of the document for ever. So the document is opened anew from the server, and the text as it
 * stood here is shown beside it, to be copied.
 */
import { CLOSE } from '../src/protocol/close.ts';
import type { DocumentInfo } from './api.ts';
import { TITLE_CHARS_MAX, UNTITLED } from './documents-view.ts';
import { h, icon } from './dom.ts';
import { Editor } from './editor.ts';
import { ApiError, messageOf } from './http.ts';
import { Indicator } from './indicator.ts';
import type { LiveDocument } from './live-document.ts';
import { notice } from './notices.ts';
import { People } from './people.ts';
import { SignedOut } from './session.ts';
import { shareDialog } from './share-dialog.ts';
import { toolbar } from './toolbar.ts';
import { pageLink, type SignedInApp, type View } from './view.ts';

/** People are told that the document is full no more often than this. */
const FULL_SAID_EACH_MS = 20_000;
/** After a question that failed. */
const ASK_AGAIN_MS = 3_000;

/** The view at `/d/<id>`. */
export function documentView(app: SignedInApp, id: string): View {
  const view = new DocumentView(app, id);
  return { root: view.root, close: () => view.close() };
}

class DocumentView {
  readonly #indicator = new Indicator();
  readonly #people: People;
  readonly #title: HTMLInputElement;
  readonly #share: HTMLElement;
  readonly #bar = h('div', { class: 'bar-place' });
  readonly #place = h('main', { class: 'page' }, h('p', { class: 'quiet' }, 'One moment …'));
  readonly root: HTMLElement;
  #info: DocumentInfo | null = null;
  #live: LiveDocument | null = null;
  #editor: Editor | null = null;
  #closed = false;
  /** How many times the role was asked for. */
  #asked = 0;
  /** When people were last told that the document is full, on the monotonic clock. */
  #full_said_at = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly app: SignedInApp,
    private readonly id: string,
  ) {
    this.#people = new People(app.user.id);
    this.#title = h('input', {
      class: 'title',
      'aria-label': 'Title',
      maxlength: TITLE_CHARS_MAX,
      readonly: true,
      autocomplete: 'off',
      onchange: () => void this.#rename(),
      onkeydown: (event: KeyboardEvent) => this.#titleKey(event),
    });
    this.#share = h('button', {
      type: 'button',
      class: 'primary share',
      hidden: true,
      onclick: () => void this.#openShare(),
    });
    this.#share.append(icon('share'), h('span', {}, 'Share'));
    const back = pageLink(
      app,
      '/',
      { class: 'bare back', 'aria-label': 'All documents', title: 'All documents' },
      icon('back'),
    );
    const head = h('header', { class: 'top' }, back, this.#title, this.#indicator.root, this.#people.root, this.#share);
    this.root = h('div', { class: 'document' }, h('div', { class: 'head' }, head, this.#bar), this.#place);
    document.addEventListener('visibilitychange', this.#lookedAt);
    void this.#open();
  }

  close(): void {
    this.#closed = true;
    document.removeEventListener('visibilitychange', this.#lookedAt);
    this.#editor?.destroy();
    if (this.#live !== null) this.app.live.release(this.#live);
  }

  // ── the document ───────────────────────────────────────────────────────────────────────────────────────────────────

  async #open(): Promise<void> {
    let info: DocumentInfo;
    try {
      info = await this.app.api.document(this.id);
    } catch (error) {
      return this.#failed(error, () => void this.#open());
    }
    if (this.#closed) return;
    this.#show(info);
    if (info.deleted) this.#showDeleted();
    else this.#connect();
  }

  #connect(): void {
    const live = this.app.live.open(this.id);
    this.#live = live;
    live.may_edit = this.#may_edit;
    live.watch({
      changed: () => this.#changed(),
      synced: () => this.#synced(),
      newsCame: (refused) => void this.#ask(refused),
      full: () => this.#saidFull(),
      ended: (code) => void this.#ended(code),
    });
    if (live.is_opened) this.#edit();
    this.#changed();
  }

  /** The text has come: show it, or, after a reconnect, find out whether one may still do the same with it. */
  #synced(): void {
    if (this.#editor === null) this.#edit();
    else void this.#ask(false);
  }

  #edit(): void {
    const live = this.#live;
    if (live === null) return;
    const host = h('div', { class: 'editor' });
    const bar = toolbar();
    this.#place.replaceChildren(host);
    this.#bar.replaceChildren(bar);
    this.#editor = new Editor({ host, bar, live, say: notice });
    this.#applyRole();
    if (!this.#may_edit) return;
    // A new document first wants a name.
    if (live.text.length === 0 && this.#info?.title === UNTITLED) this.#title.select();
    else this.#editor.focus();
  }

  get #may_edit(): boolean {
    return this.#info !== null && this.#info.role !== 'viewer';
  }

  #changed(): void {
    const live = this.#live;
    if (live === null || this.#closed) return;
    this.#indicator.show(live.word, live.has_unsaved);
    this.#people.show(live.provider.awareness);
  }

  readonly #lookedAt = (): void => {
    if (document.visibilityState === 'visible' && this.#live !== null) void this.#ask(false);
  };

  /** Says it once in a while, not at every key. */
  #saidFull(): void {
    const now = performance.now();
    if (now - this.#full_said_at < FULL_SAID_EACH_MS) return;
    this.#full_said_at = now;
    notice('This document is full. What you write is not saved until something is deleted.');
  }

  /** Asks what the document is called and what one may do. `refused`: the server has just refused an edit. */
  async #ask(refused: boolean): Promise<void> {
    const asked = ++this.#asked;
    try {
      const info = await this.app.api.document(this.id);
      // What was asked later knows better, whichever answer comes first.
      if (this.#closed || asked !== this.#asked) return;
      this.#show(info);
    } catch {
      // The connection's own end says more; what passes is asked again, unless something else asked meanwhile.
      setTimeout(() => {
        if (!this.#closed && asked === this.#asked) void this.#ask(refused);
      }, ASK_AGAIN_MS);
      return;
    }
    const live = this.#live;
    if (live === null || this.#editor === null) return;
    const could_edit = live.may_edit;
    // One's role went down and up again: what was refused in between is sent once more.
    if (refused && could_edit && this.#may_edit) live.reconnect();
    else if (could_edit && !this.#may_edit && (refused || live.has_unsaved)) this.#openAnew(live, this.#editor);
    else this.#applyRole();
  }

  #applyRole(): void {
    if (this.#live !== null) this.#live.may_edit = this.#may_edit;
    if (this.#editor !== null) this.#editor.editable = this.#may_edit;
    this.#bar.hidden = !this.#may_edit;
    this.#changed();
  }

  #openAnew(live: LiveDocument, editor: Editor): void {
    const { text } = editor;
    editor.destroy();
    this.#editor = null;
    this.#live = null;
    this.app.live.discard(live);
    this.#place.replaceChildren();
    this.#connect();
    this.#place.before(
      keepsake(
        'You may only read this document now. What you wrote last came too late; this is the text as it stood here.',
        text,
      ),
    );
  }

  // ── its title and its people ───────────────────────────────────────────────────────────────────────────────────────

  #show(info: DocumentInfo): void {
    this.#info = info;
    if (document.activeElement !== this.#title) this.#title.value = info.title;
    this.#title.readOnly = info.deleted || info.role === 'viewer';
    this.#share.hidden = info.deleted;
    document.title = `${info.title} · Concord`;
  }

  #titleKey(event: KeyboardEvent): void {
    if (event.key === 'Escape' && this.#info !== null) this.#title.value = this.#info.title;
    if (event.key !== 'Escape' && event.key !== 'Enter') return;
    this.#title.blur();
    this.#editor?.focus();
  }

  async #rename(): Promise<void> {
    const before = this.#info;
    const title = this.#title.value.trim();
    if (before === null || title === '' || title === before.title) {
      this.#title.value = before?.title ?? '';
      return;
    }
    try {
      this.#show(await this.app.api.rename(this.id, title));
      this.#live?.tellNews();
    } catch (error) {
      this.#title.value = before.title;
      if (!(error instanceof SignedOut)) notice(messageOf(error));
    }
  }

  async #openShare(): Promise<void> {
    const { app } = this;
    if (this.#info === null) return;
    const changed = (): void => {
      this.#live?.tellNews();
      void this.#ask(false);
    };
    await shareDialog({ api: app.api, document: this.#info, own_id: app.user.id, changed });
  }

  // ── its end ────────────────────────────────────────────────────────────────────────────────────────────────────────

  async #ended(code: number): Promise<void> {
    const unsaved = this.#may_edit && this.#live?.has_unsaved === true;
    const text = unsaved ? (this.#editor?.text ?? null) : null;
    this.#leave();
    if (code === CLOSE.NOT_FOUND || code === CLOSE.FORBIDDEN) await this.#open();
    else this.#say('The server has closed this document.', 'Open it again', () => void this.#open());
    if (text !== null)
      this.#place.before(keepsake('What you wrote last was not saved; this is the text as it stood here.', text));
  }

  /** Takes the editor down; what it held has been looked after. */
  #leave(): void {
    this.#editor?.destroy();
    this.#editor = null;
    if (this.#live !== null) this.app.live.discard(this.#live);
    this.#live = null;
    this.#bar.replaceChildren();
    this.#people.root.replaceChildren();
    this.#indicator.hide();
    this.#title.readOnly = true;
    this.#share.hidden = true;
  }

  #showDeleted(): void {
    const undelete = async (): Promise<void> => {
      await this.app.api.undelete(this.id).catch((error: unknown) => notice(messageOf(error)));
      await this.#open();
    };
    this.#say('This document is deleted.', 'Undelete', () => void undelete());
  }

  #failed(error: unknown, again: () => void): void {
    if (this.#closed || error instanceof SignedOut) return;
    if (error instanceof ApiError && !error.passing) {
      document.title = 'Not found · Concord';
      this.#title.value = '';
      this.#say('There is no such document, or it is not shared with you.', 'All documents', () => this.app.go('/'));
    } else this.#say(messageOf(error), 'Try again', again);
  }

  #say(message: string, label: string, run: () => void): void {
    const act = h('button', { type: 'button', class: 'primary', onclick: run }, label);
    this.#place.replaceChildren(h('div', { class: 'message', role: 'alert' }, h('p', {}, message), act));
  }
}

/** The text of a document as it stood in this window, to be copied by hand. */
function keepsake(why: string, text: string): HTMLElement {
  const area = h('textarea', { readonly: true, rows: 6, 'aria-label': 'Your text' });
  area.value = text;
  const close = h('button', { type: 'button', class: 'plain', onclick: () => box.remove() }, 'I have what I need');
  const box = h('section', { class: 'keepsake', role: 'alert' }, h('p', {}, why), area, close);
  return box;
}
