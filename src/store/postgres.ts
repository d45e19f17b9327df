/**
 * The one way to PostgreSQL. Statements live beside this file, one family a file, whole and readable; nothing above the
 * store knows a table's name.
 */
import postgres from 'postgres';

/** A pool, or a transaction on one of its connections. bigint columns arrive as numbers: revs and epochs stay far below 2^53. */
export type Sql = postgres.ISql<{ bigint: number }>;

/** A pool that can begin transactions and be closed. */
export type Database = postgres.Sql<{ bigint: number }>;

/** How a pool behaves. */
export interface PoolOptions {
  /** Connections at most. */
  readonly connections_max: number;
  /** Seen in `pg_stat_activity`. */
  readonly application_name: string;
  /** The role that connections take, asked when the pool is made; absent or null: the login's own. */
  readonly role?: () => string | null;
}

/** Opens a pool; the first statement connects. */
export function connectDatabase(url: string, options: PoolOptions): Database {
  const role = options.role?.() ?? null;
  return postgres(url, {
    max: options.connections_max,
    connect_timeout: 3,
    idle_timeout: 0,
    backoff: (attempt) => Math.min(0.1 * 2 ** attempt, 1),
    onnotice: () => {},
    connection: { application_name: options.application_name, ...(role === null ? {} : { role }) },
    types: { bigint: { to: 20, from: [20], parse: Number, serialize: String } },
  });
}

/** SQLSTATE of an error that the server itself reported, else null: the connection broke and the outcome is unknown. */
export function sqlState(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return null;
  return /^[0-9A-Z]{5}$/.test(error.code) ? error.code : null;
}

/**
 * Whether the failure means that storage is away rather than that the statement is wrong: no SQLSTATE at all, the
 * connection class (08), the server going down or coming up (57P), out of connections or disk (53), or read-only (25006).
 */
export function isStorageAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const state = sqlState(error);
  if (state !== null) return /^(08|53|57P)/.test(state) || state === '25006' || state === '40001' || state === '40P01';
  return 'code' in error && typeof error.code === 'string' && /^(CONNECT|E[A-Z]+|NOT_)/.test(error.code);
}
