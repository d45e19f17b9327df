/** Who may do what with a document: for owners to change, for everybody else to see, and to leave. */
import type { Role } from '../src/protocol/messages.ts';
import type { Api, DocumentInfo, Permission } from './api.ts';
import { h, icon } from './dom.ts';
import { messageOf } from './http.ts';

/** What the dialog needs. */
export interface ShareParts {
  readonly api: Api;
  readonly document: DocumentInfo;
  readonly own_id: string;
  /** Somebody's role is another now. */
  changed(): void;
}

const ROLE_WORDS: Readonly<Record<Role, string>> = { viewer: 'Can read', editor: 'Can edit', owner: 'Owner' };

/** Opens the dialog; resolves when it is closed. */
export function shareDialog(parts: ShareParts): Promise<void> {
  return new Promise((resolve) => {
    const onclose = (): void => {
      dialog.remove();
      resolve();
    };
    const close = h('button', { type: 'button', class: 'bare', 'aria-label': 'Close', onclick: () => dialog.close() });
    close.append(icon('close'));
    const dialog = h('dialog', { class: 'share', 'aria-labelledby': 'share-title', onclose });
    const content = new ShareContent(parts, () => dialog.close());
    dialog.append(h('header', {}, h('h2', { id: 'share-title' }, 'People'), close), content.root);
    document.body.append(dialog);
    dialog.showModal();
    void content.load();
  });
}

class ShareContent {
  readonly #problem = h('p', { class: 'problem', role: 'alert' });
  readonly #list = h('ul', { class: 'permissions' }, h('li', { class: 'quiet' }, 'One moment …'));
  readonly root: HTMLElement;

  constructor(
    private readonly parts: ShareParts,
    private readonly close: () => void,
  ) {
    const invite = this.#owns ? this.#inviteForm() : null;
    this.root = h('div', {}, invite, this.#problem, this.#list);
  }

  get #owns(): boolean {
    return this.parts.document.role === 'owner';
  }

  async load(): Promise<void> {
    const { api, document } = this.parts;
    try {
      const permissions = await api.permissions(document.id);
      this.#list.replaceChildren(...permissions.map((permission) => this.#row(permission)));
    } catch (error) {
      this.#problem.textContent = messageOf(error);
    }
  }

  #inviteForm(): HTMLElement {
    const { api, document } = this.parts;
    const email = h('input', {
      name: 'email',
      type: 'email',
      required: true,
      autocomplete: 'off',
      maxlength: 254,
      placeholder: 'ada@example.org',
    });
    const role = roleSelect('editor', 'Role');
    const onsubmit = (event: Event): void => {
      event.preventDefault();
      void this.#change(async () => {
        await api.share(document.id, email.value.trim(), role.value as Role);
        email.value = '';
      });
    };
    return h(
      'form',
      { class: 'invite', onsubmit },
      h('label', { class: 'field' }, h('span', {}, 'E-mail'), email),
      h('label', { class: 'field' }, h('span', {}, 'Role'), role),
      h('button', { class: 'primary' }, 'Share'),
    );
  }

  #row(permission: Permission): HTMLElement {
    const { own_id } = this.parts;
    const { user_id, display_name, email, role } = permission;
    const own = user_id === own_id;
    const who = h(
      'span',
      { class: 'who' },
      h('span', {}, own ? `${display_name} (you)` : display_name),
      h('span', { class: 'quiet' }, email),
    );
    return h(
      'li',
      {},
      who,
      this.#owns ? this.#roleOf(permission) : h('span', { class: 'quiet' }, ROLE_WORDS[role]),
      this.#removal(permission, own),
    );
  }

  #roleOf({ user_id, display_name, role }: Permission): HTMLElement {
    const { api, document, own_id } = this.parts;
    const select = roleSelect(role, `Role of ${display_name}`);
    select.addEventListener('change', () => {
      void this.#change(async () => {
        await api.changeRole(document.id, user_id, select.value as Role);
        if (user_id === own_id) this.close();
      });
    });
    return select;
  }

  #removal({ user_id, display_name }: Permission, own: boolean): HTMLElement | null {
    const { api, document } = this.parts;
    if (!own && !this.#owns) return null;
    const onclick = (): void =>
      void this.#change(async () => {
        await api.revoke(document.id, user_id);
        if (own) this.close();
      });
    const label = own ? 'Leave' : 'Remove';
    return h(
      'button',
      { type: 'button', class: 'plain', 'aria-label': own ? 'Leave this document' : `Remove ${display_name}`, onclick },
      label,
    );
  }

  async #change(work: () => Promise<unknown>): Promise<void> {
    this.#problem.textContent = '';
    try {
      await work();
      this.parts.changed();
    } catch (error) {
      this.#problem.textContent = messageOf(error);
    }
    await this.load();
  }
}

function roleSelect(selected: Role, label: string): HTMLSelectElement {
  const options = Object.entries(ROLE_WORDS).map(([role, words]) =>
    h('option', { value: role, selected: role === selected }, words),
  );
  return h('select', { 'aria-label': label }, ...options);
}
