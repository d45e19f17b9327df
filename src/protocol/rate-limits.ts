/**
 * How often somebody may knock: every rate limit by name, with its variable, its default and whom it counts.
 * docs/OPERATIONS.md prints this table.
 *
 * A limit is `count` in `window_s` seconds. Those that all nodes share (`shared`) are counted in windows that begin with the
 * first thing counted. Those of sockets are buckets: `count` at once, refilled evenly within `window_s`.
 *
 * The defaults are far above what people and honest programs do, one address that many of them share included, and far below
 * what guessing a password or starving others takes.
 */
import { LIMITS } from './limits.ts';

/** So many in so many seconds. */
export interface Rate {
  readonly count: number;
  readonly window_s: number;
}

/** One limit. */
export interface RateLimitKind extends Rate {
  /** The setting, written `count/window_s`. */
  readonly variable: string;
  /** Fewer would refuse what is allowed; 1 when absent. */
  readonly count_min?: number;
  /** Whether all nodes count together, in Redis; otherwise each counts what it sees. */
  readonly shared: boolean;
  /** What is counted, and for whom. */
  readonly counts: string;
}

/** See the head of this file. */
export const RATE_LIMITS = {
  user: {
    variable: 'RATE_LIMIT_USER',
    count: 12_000,
    window_s: 60,
    shared: true,
    counts: 'REST, per user: points. A call costs one; heavy ones cost more',
  },
  ip: {
    variable: 'RATE_LIMIT_IP',
    count: 6_000,
    window_s: 60,
    shared: true,
    counts: 'REST, per address: calls without an account, and calls whose token is refused',
  },
  sign_in: {
    variable: 'RATE_LIMIT_SIGN_IN',
    count: 300,
    window_s: 60,
    shared: true,
    counts: 'Sign-ins per address, whatever the e-mail; those that succeed do not count',
  },
  sign_in_failures: {
    variable: 'RATE_LIMIT_SIGN_IN_FAILURES',
    count: 10,
    window_s: 86_400,
    shared: true,
    counts:
      'Wrong passwords per e-mail and address together, since the last right one; then that pair waits, each time twice as long',
  },
  sign_in_email: {
    variable: 'RATE_LIMIT_SIGN_IN_EMAIL',
    count: 100,
    window_s: 3_600,
    shared: true,
    counts: 'Wrong passwords per e-mail from all addresses; beyond it an address waits after two of its own',
  },
  password_failures: {
    variable: 'RATE_LIMIT_PASSWORD_FAILURES',
    count: 10,
    window_s: 86_400,
    shared: true,
    counts: 'Wrong passwords per user where one changes it or erases the account; then as with sign-ins',
  },
  register: {
    variable: 'RATE_LIMIT_REGISTER',
    count: 300,
    window_s: 60,
    shared: true,
    counts: 'Registrations per address',
  },
  register_email: {
    variable: 'RATE_LIMIT_REGISTER_EMAIL',
    count: 60,
    window_s: 60,
    shared: true,
    counts: 'Registrations per e-mail',
  },
  refresh: {
    variable: 'RATE_LIMIT_REFRESH',
    count: 600,
    window_s: 60,
    shared: true,
    counts: 'Exchanges of refresh tokens per address',
  },
  documents: {
    variable: 'RATE_LIMIT_DOCUMENTS',
    count: 1_200,
    window_s: 60,
    shared: true,
    counts: 'Documents made, per user',
  },
  joins: {
    variable: 'RATE_LIMIT_JOINS',
    count: 3_000,
    window_s: 60,
    shared: true,
    counts: 'Documents opened over sockets, per user',
  },
  socket_openings: {
    variable: 'RATE_LIMIT_SOCKET_OPENINGS',
    count: 1_200,
    window_s: 60,
    shared: false,
    counts: 'Sockets opened per address that did not show a good token',
  },
  socket_messages: {
    variable: 'RATE_LIMIT_SOCKET_MESSAGES',
    count: 20_000,
    window_s: 20,
    shared: false,
    counts: 'Messages per socket',
  },
  socket_bytes: {
    variable: 'RATE_LIMIT_SOCKET_BYTES',
    count: 64 * 1024 * 1024,
    window_s: 32,
    shared: false,
    count_min: LIMITS.yjs_frame_bytes_max,
    counts: 'Bytes received per socket; of text, UTF-16 code units',
  },
  user_messages: {
    variable: 'RATE_LIMIT_USER_MESSAGES',
    count: 40_000,
    window_s: 20,
    shared: false,
    counts: 'Messages per user, over all their sockets on a node',
  },
  user_bytes: {
    variable: 'RATE_LIMIT_USER_BYTES',
    count: 128 * 1024 * 1024,
    window_s: 32,
    shared: false,
    count_min: LIMITS.yjs_frame_bytes_max,
    counts: 'Bytes received per user, over all their sockets on a node',
  },
  socket_refusals: {
    variable: 'RATE_LIMIT_SOCKET_REFUSALS',
    count: 100,
    window_s: 10,
    shared: false,
    counts: 'Messages per JSON socket that are over a limit and answered with an `error`; then it is closed',
  },
} as const satisfies Readonly<Record<string, RateLimitKind>>;

/** A limit of {@link RATE_LIMITS}. */
export type RateLimitName = keyof typeof RATE_LIMITS;

/** Those that all nodes count together. */
export type SharedLimitName = {
  [Name in RateLimitName]: (typeof RATE_LIMITS)[Name]['shared'] extends true ? Name : never;
}[RateLimitName];

/** The limits as they are set, and what goes with them. */
export interface RateLimitSettings {
  readonly rates: Readonly<Record<RateLimitName, Rate>>;
  /** Sockets per address that have not shown a good token yet. */
  readonly sockets_unauthenticated_max: number;
  /** How long a pair of e-mail and address waits at first, seconds; twice as long after each further failure. */
  readonly block_s: number;
}

/** However often it doubled, a wait is not longer than this, seconds. */
export const BLOCK_S_MAX = 3_600;
