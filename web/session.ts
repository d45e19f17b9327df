/**
 * Who is signed in, in this browser: one session for all its tabs.
 *
 * Where the tokens are kept. The refresh token must outlive the tab, or every reload would ask for the password; the
 * server takes tokens in bodies and headers and sets no cookie, so it lies in the browser's own storage. What could read
 * it there is script on this page, and the page's policy lets none run but its own. A copy that was stolen all the same
 * is found out: every token is good for one exchange, and its second use ends the session. The access token lies beside
 * it, so that a new tab need not exchange anything; it gives less than the refresh token does.
 *
 * The same rule makes tabs dangerous to each other: two that exchanged one token would be taken for a thief and its
 * victim, and both be signed out. So an exchange happens in one tab at a time, begins by looking whether another has just
 * made it, and ends when what it brought is kept (kept.ts).
 */
import { ApiError, send } from './http.ts';
import { change, exclusively, recall } from './kept.ts';

/** Somebody with an account. */
export interface User {
  readonly id: string;
  readonly email: string;
  readonly display_name: string;
}

interface Kept {
  readonly user: User;
  readonly access_token: string;
  readonly refresh_token: string;
  /** When the access token ends and how long it lives, milliseconds, on this browser's clock. */
  readonly expires_at: number;
  readonly life_ms: number;
}

interface Pair {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
}

/** The session ended, here or elsewhere: somebody has to sign in. */
export class SignedOut extends Error {
  override readonly name = 'SignedOut';
}

const KEY = 'session';
const LOCK = 'concord.session';
/** A token is exchanged this long before it ends, or when a quarter of its life is left if that is later. */
const MARGIN_MS = 60_000;

/** See the head of this file. */
export class Session {
  readonly #listeners = new Set<() => void>();
  /** Tells the other tabs that somebody signed in or out. */
  readonly #others = new BroadcastChannel('concord.session');
  /** As this tab last saw it. */
  #kept: Kept | null;

  private constructor(kept: Kept | null) {
    this.#kept = kept;
    this.#others.onmessage = async () => this.#see(await recall(KEY));
  }

  /** The session that this browser has. */
  static async load(): Promise<Session> {
    return new Session(await recall<Kept>(KEY).catch(() => null));
  }

  /** Who is signed in; null when nobody is. */
  get user(): User | null {
    return this.#kept?.user ?? null;
  }

  /** Calls `listener` whenever somebody else is signed in than before, or nobody. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Makes an account and signs in. */
  async register(account: { email: string; password: string; display_name: string }): Promise<void> {
    await this.#begin(await send<Pair & { user: User }>('POST', '/v1/auth/register', account));
  }

  /** Signs in. */
  async signIn(credentials: { email: string; password: string }): Promise<void> {
    await this.#begin(await send<Pair & { user: User }>('POST', '/v1/auth/login', credentials));
  }

  /** Signs out, in all tabs. Should the server not be reached, the session is forgotten here and ends there with time. */
  async signOut(): Promise<void> {
    await exclusively(LOCK, async () => {
      const kept = await recall<Kept>(KEY).catch(() => this.#kept);
      if (kept === null) return;
      const { access_token, refresh_token } = kept;
      await send('POST', '/v1/auth/logout', { refresh_token }, access_token).catch(() => {});
      await this.#keep(null);
    });
  }

  /** An access token with some life left. Rejects with {@link SignedOut}, or an {@link ApiError} that passes. */
  async token(): Promise<string> {
    const kept = this.#kept;
    return kept !== null && isFresh(kept) ? kept.access_token : this.#exchange(null);
  }

  /** Another access token in place of one that the server refused. Rejects like {@link token}. */
  replace(refused: string): Promise<string> {
    return this.#exchange(refused);
  }

  #exchange(refused: string | null): Promise<string> {
    return exclusively(LOCK, async () => {
      const user_id = this.user?.id;
      const kept = await recall<Kept>(KEY).catch(() => this.#kept);
      this.#see(kept);
      // What was typed as one user must not be sent as another.
      if (kept === null || kept.user.id !== user_id) throw new SignedOut('The session has ended.');
      if (isFresh(kept) && kept.access_token !== refused) return kept.access_token;
      const { user, refresh_token } = kept;
      const pair = await send<Pair>('POST', '/v1/auth/refresh', { refresh_token }).catch(async (error: unknown) => {
        if (!(error instanceof ApiError) || error.status !== 401) throw error;
        await this.#keep(null);
        throw new SignedOut('The session has ended.');
      });
      await this.#keep(keptOf(user, pair));
      return pair.access_token;
    });
  }

  async #begin({ user, ...pair }: Pair & { readonly user: User }): Promise<void> {
    const { id, email, display_name } = user;
    await exclusively(LOCK, () => this.#keep(keptOf({ id, email, display_name }, pair)));
  }

  async #keep(kept: Kept | null): Promise<void> {
    // A browser that keeps nothing for pages still lets somebody work in this tab.
    await change<Kept>(KEY, () => kept).catch(() => null);
    if (kept?.user.id !== this.user?.id) this.#others.postMessage('changed');
    this.#see(kept);
  }

  #see(kept: Kept | null): void {
    const other = kept?.user.id !== this.user?.id;
    this.#kept = kept;
    if (other) for (const listener of this.#listeners) listener();
  }
}

function isFresh({ expires_at, life_ms }: Kept): boolean {
  return Date.now() < expires_at - Math.min(MARGIN_MS, life_ms / 4);
}

function keptOf(user: User, { access_token, refresh_token, expires_in }: Pair): Kept {
  const life_ms = expires_in * 1000;
  return { user, access_token, refresh_token, life_ms, expires_at: Date.now() + life_ms };
}
