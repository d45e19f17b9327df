/**
 * The open documents of this page. One that is left while an edit of it is not known to be safe stays connected until it
 * is, so that going back to the list, or being signed out, loses nothing; as long as there is one, the browser asks before
 * it closes the page. Whoever opens it again finds it as it was left.
 */
import { LiveDocument } from './live-document.ts';
import type { Session } from './session.ts';

/** See the head of this file. */
export class LiveDocuments {
  readonly #all = new Map<string, LiveDocument>();

  constructor(private readonly session: Session) {
    window.addEventListener('beforeunload', (event) => {
      if (this.has_unsaved) event.preventDefault();
    });
    session.onChange(() => this.#userChanged());
  }

  /** Whether any edit is not known to be safe. */
  get has_unsaved(): boolean {
    return [...this.#all.values()].some((live) => live.may_edit && live.has_unsaved);
  }

  /** Opens a document for whoever is signed in; leave it with {@link release} or {@link discard}. */
  open(id: string): LiveDocument {
    const { user } = this.session;
    if (user === null) throw new Error('nobody is signed in');
    const live = this.#all.get(id) ?? new LiveDocument(id, user, this.session);
    this.#all.set(id, live);
    return live;
  }

  /** Leaves a document; it stays until its last edit is safe. */
  release(live: LiveDocument): void {
    const leaveWhenSafe = (): void => {
      if (!live.may_edit || !live.has_unsaved) this.discard(live);
    };
    live.watch({
      changed: leaveWhenSafe,
      synced: leaveWhenSafe,
      newsCame: (refused) => refused && this.discard(live),
      // It gets in by itself when somebody makes room.
      full: () => {},
      ended: () => this.discard(live),
    });
    leaveWhenSafe();
  }

  /** Drops a document with whatever is not safe. */
  discard(live: LiveDocument): void {
    if (this.#all.get(live.id) === live) this.#all.delete(live.id);
    live.destroy();
  }

  /** Documents of somebody else go; those that wait for the same person to sign in again go on. */
  #userChanged(): void {
    const { user } = this.session;
    if (user === null) return;
    for (const live of [...this.#all.values()]) {
      if (live.user.id === user.id) live.reconnect();
      else this.discard(live);
    }
  }
}
