/**
 * Who is signed in, in this browser: one session for all its tabs.
 *
 * Where the tokens are kept. The refresh token must outlive the tab, or every reload would ask for the password; the
 * server takes tokens in bodies and headers and sets no cookie, so it is localStorage. What could read it there is script
 * on this page, and the page's policy lets none run but its own. A copy that was stolen all the same is found out: every
 * token is good for one exchange, and its second use ends the session. The access token lies beside it, so that a new tab
 * need not exchange anything; it gives less than the refresh token does.
 *
 * The same rule makes tabs dangerous to each other: two that exchanged one token would be taken for a thief and its
 * victim, and both be signed out. So an exchange happens in one tab at a time (exclusive.ts), and begins by looking
 * whether another tab has just made it.
 */
import { exclusively } from './exclusive.ts';
import { ApiError, send } from './http.ts';

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
  /** When the access token ends and how long it lived, milliseconds, on this browser's clock. */
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

const KEY = 'concord.session';
const LOCK = 'concord.session.lock';
/** A token is exchanged this long before it ends, or when a quarter of its life is left if that is later. */
const MARGIN_MS = 60_000;

/** See the head of this file. */
export class Session {
  readonly #listeners = new Set<() => void>();
  #user_id: string | null;

  constructor() {
    this.#user_id = this.user?.id ?? null;
    // Another tab signed in or out.
    window.addEventListener('storage', (event) => {
      if (event.key === KEY || event.key === null) this.#tell();
    });
  }

  /** Who is signed in; null when nobody is. */
  get user(): User | null {
    return kept()?.user ?? null;
  }

  /** Calls `listener` whenever somebody else is signed in than before, or nobody. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Makes an account and signs in. */
  async register(account: { email: string; password: string; display_name: string }): Promise<void> {
    this.#begin(await send<Pair & { user: User }>('POST', '/v1/auth/register', account));
  }

  /** Signs in. */
  async signIn(credentials: { email: string; password: string }): Promise<void> {
    this.#begin(await send<Pair & { user: User }>('POST', '/v1/auth/login', credentials));
  }

  /** Signs out, in all tabs. Should the server not be reached, the session is forgotten here and ends there with time. */
  async signOut(): Promise<void> {
    await exclusively(LOCK, async () => {
      const session = kept();
      localStorage.removeItem(KEY);
      if (session === null) return;
      const { access_token, refresh_token } = session;
      await send('POST', '/v1/auth/logout', { refresh_token }, access_token).catch(() => {});
    });
    this.#tell();
  }

  /** An access token with some life left. Rejects with {@link SignedOut}, or an {@link ApiError} that passes. */
  async token(): Promise<string> {
    const session = this.#own();
    return session !== null && isFresh(session) ? session.access_token : this.#exchange(null);
  }

  /** Another access token in place of one that the server refused. Rejects like {@link token}. */
  replace(refused: string): Promise<string> {
    return this.#exchange(refused);
  }

  #exchange(refused: string | null): Promise<string> {
    return exclusively(LOCK, async () => {
      const session = this.#own();
      if (session === null) return this.#end();
      if (isFresh(session) && session.access_token !== refused) return session.access_token;
      const { user, refresh_token } = session;
      const pair = await send<Pair>('POST', '/v1/auth/refresh', { refresh_token }).catch((error: unknown) => {
        if (error instanceof ApiError && error.status === 401) return this.#end();
        throw error;
      });
      keep(user, pair);
      return pair.access_token;
    });
  }

  #begin({ user, ...pair }: Pair & { readonly user: User }): void {
    const { id, email, display_name } = user;
    keep({ id, email, display_name }, pair);
    this.#tell();
  }

  /** The session, if it is of the user that this tab shows: what was typed as one must not be sent as another. */
  #own(): Kept | null {
    const session = kept();
    return session?.user.id === this.#user_id ? session : null;
  }

  #end(): never {
    if (this.#own() !== null) localStorage.removeItem(KEY);
    this.#tell();
    throw new SignedOut('The session has ended.');
  }

  #tell(): void {
    const user_id = this.user?.id ?? null;
    if (user_id === this.#user_id) return;
    this.#user_id = user_id;
    for (const listener of this.#listeners) listener();
  }
}

function isFresh({ expires_at, life_ms }: Kept): boolean {
  return Date.now() < expires_at - Math.min(MARGIN_MS, life_ms / 4);
}

function keep(user: User, { access_token, refresh_token, expires_in }: Pair): void {
  const life_ms = expires_in * 1000;
  const session: Kept = { user, access_token, refresh_token, expires_at: Date.now() + life_ms, life_ms };
  localStorage.setItem(KEY, JSON.stringify(session));
}

function kept(): Kept | null {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? 'null') as Kept | null;
  } catch {
    return null;
  }
}
