/** Short messages at the foot of the page, spoken by screen readers as well. */
import { h } from './dom.ts';

const SHOWN_MS = 8_000;

const shelf = h('div', { class: 'notices', role: 'status', 'aria-live': 'polite' });

/** Says something for a while; with `action`, a button beside it does that. */
export function notice(message: string, action?: { readonly label: string; run(): void }): void {
  if (!shelf.isConnected) document.body.append(shelf);
  const remove = (): void => entry.remove();
  const onclick = (): void => {
    remove();
    action?.run();
  };
  const act = action && h('button', { type: 'button', onclick }, action.label);
  const entry = h('div', { class: 'notice' }, h('span', {}, message), act ?? null);
  shelf.append(entry);
  setTimeout(remove, SHOWN_MS);
}
