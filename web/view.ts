/** What a view of the page is, and what it is given. */
import type { Api } from './api.ts';
import { h } from './dom.ts';
import type { LiveDocuments } from './live-documents.ts';
import type { Session, User } from './session.ts';

/** What views work with. */
export interface App {
  readonly session: Session;
  readonly api: Api;
  readonly live: LiveDocuments;
  /** Shows another address of the page. */
  go(path: string): void;
}

/** {@link App} while somebody is signed in. */
export interface SignedInApp extends App {
  readonly user: User;
}

/** A view: fills the page from when it is made until it is closed. */
export interface View {
  readonly root: HTMLElement;
  close(): void;
}

/** A link within the page. */
export function pageLink(
  app: App,
  path: string,
  props: Readonly<Record<string, unknown>>,
  ...content: (Node | string)[]
): HTMLElement {
  const onclick = (event: MouseEvent): void => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    app.go(path);
  };
  return h('a', { ...props, href: path, onclick }, ...content);
}

/** The name and sign of the project. */
export function brand(): HTMLElement {
  const sign = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  sign.setAttribute('viewBox', '0 0 32 32');
  sign.setAttribute('aria-hidden', 'true');
  sign.innerHTML = '<circle cx="12.500" cy="16" r="8.500"/><circle cx="19.500" cy="16" r="8.500"/>';
  return h('span', { class: 'brand' }, sign, 'Concord');
}
