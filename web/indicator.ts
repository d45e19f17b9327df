/**
 * The word about how safe one's text is, and a sentence behind it. It changes with every few keys, which nobody wants to
 * have read aloud; so only trouble, and its end, is announced.
 */
import { h } from './dom.ts';
import type { SaveWord } from './save-state.ts';

const WORDS: Readonly<Record<SaveWord, readonly [label: string, meaning: string]>> = {
  opening: ['Opening…', 'The text is being fetched.'],
  saved: ['Saved', 'Everything that you wrote is on disk.'],
  saving: ['Saving…', 'Your last words are on their way to disk.'],
  unsaved: ['Unsaved', 'The server has not been able to save your last words yet. Go on, but keep this page open.'],
  offline: ['Offline', 'There is no connection. You can go on writing; keep this page open until it is back.'],
  read_only: ['Read only', 'You may read this document, and not change it.'],
};

const TROUBLE: ReadonlySet<SaveWord> = new Set(['unsaved', 'offline', 'read_only']);

/** See the head of this file. */
export class Indicator {
  readonly #label = h('span', { class: 'label' });
  readonly #announced = h('span', { class: 'unseen', role: 'status' });
  /** Put it where it shall be seen. */
  readonly root = h('span', { class: 'indicator' }, h('span', { class: 'dot' }), this.#label, this.#announced);
  #word: SaveWord | null = null;

  /** Shows a word; `waiting`: while there is no connection, something that was written here is not on the server. */
  show(word: SaveWord, waiting: boolean): void {
    const [label, meaning] = WORDS[word];
    const detail = word === 'offline' && waiting ? `${meaning} What you wrote last is only in this window.` : meaning;
    if (this.root.title !== detail) this.root.title = detail;
    if (word === this.#word) return;
    this.root.dataset.state = word;
    this.#label.textContent = label;
    if (TROUBLE.has(word)) this.#announced.textContent = `${label}. ${detail}`;
    else if (word === 'saved' && this.#announced.textContent !== '') this.#announced.textContent = 'Saved.';
    this.#word = word;
  }

  /** Shows nothing: there is no document. */
  hide(): void {
    this.root.removeAttribute('data-state');
    this.#label.textContent = '';
    this.#announced.textContent = '';
    this.#word = null;
  }
}
