/**
 * A pool that can be replaced. When a server hangs without closing its connections (paused, cut off), every connection
 * of a pool ends up waiting for an answer that will not come; the only remedy is a new pool.
 */
import { connectDatabase, type Database, type PoolOptions } from './postgres.ts';

/** See the head of this file. */
export class RenewablePool {
  #pool: Database;

  constructor(
    private readonly url: string,
    private readonly options: PoolOptions,
  ) {
    this.#pool = connectDatabase(url, options);
  }

  /** The pool to use now. Do not keep it. */
  current(): Database {
    return this.#pool;
  }

  /** Drops all connections at once and starts anew; statements under way fail. */
  renew(): void {
    const old = this.#pool;
    this.#pool = connectDatabase(this.url, this.options);
    // Its statements were given up already, and closing what hangs may fail: neither is news.
    old.end({ timeout: 0 }).catch(() => {});
  }

  /** Closes for good. */
  async close(): Promise<void> {
    await this.#pool.end({ timeout: 1 });
  }
}

/** Stands for whatever pool is the current one, for parts that keep what they are handed. */
export function currentDatabase(pool: RenewablePool): Database {
  const nothing = (() => {}) as unknown as Database;
  return new Proxy(nothing, {
    apply: (_target, _self, args) => Reflect.apply(pool.current(), undefined, args),
    get: (_target, name) => Reflect.get(pool.current(), name),
  });
}
