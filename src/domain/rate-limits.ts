/**
 * Who has knocked too often. Every door asks here, so that one count holds behind all of them; what counts for whom is in
 * src/protocol/rate-limits.ts. With `RATE_LIMITS=off` there is no {@link RateLimits} at all, and nobody asks.
 *
 * What somebody has asked for with an account counts for that account alone: many people behind one address have nothing to
 * do with each other. Addresses count where there is no account yet.
 *
 * The keys in Redis hold no personal data: addresses and e-mails go through an HMAC under a secret of this installation.
 */
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import { ConcordError } from '../protocol/errors.ts';
import {
  BLOCK_S_MAX,
  RATE_LIMITS,
  type RateLimitName,
  type RateLimitSettings,
  type SharedLimitName,
} from '../protocol/rate-limits.ts';
import { type PatientRedis, SharedCounts, type Usage } from '../store/rate-counts.ts';

/** How often a limit that goes on refusing is written to the log. */
const LOG_EVERY_MS = 60_000;
/** 132 bits of the HMAC: enough that no two callers share a count. */
const HASH_CHARS = 22;

/** What limits work with. */
export interface RateLimitParts {
  readonly settings: RateLimitSettings;
  readonly counts: PatientRedis;
  /** What addresses and e-mails are hashed with. */
  readonly secret: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Where somebody stands with a limit. */
export interface Standing {
  readonly limit: number;
  /** How much is left in this window. */
  readonly remaining: number;
  /** Whole seconds until all of it is there again. */
  readonly reset_s: number;
  /** Whether this time was still within the limit. */
  readonly ok: boolean;
}

/** See the head of this file. Nothing here waits for a Redis that does not answer. */
export class RateLimits {
  readonly #counts: Readonly<Record<SharedLimitName, SharedCounts>>;
  readonly #blocks: SharedCounts;
  readonly #refusals = new Map<RateLimitName, { logged_at: number; since: number }>();

  constructor(private readonly parts: RateLimitParts) {
    const shared = Object.entries(RATE_LIMITS).filter(([, kind]) => kind.shared);
    this.#counts = Object.fromEntries(
      shared.map(([name]) => [
        name,
        new SharedCounts(parts.counts, name, parts.settings.rates[name as SharedLimitName]),
      ]),
    ) as Record<SharedLimitName, SharedCounts>;
    this.#blocks = new SharedCounts(parts.counts, 'block', { count: 1, window_s: BLOCK_S_MAX });
  }

  /** How the limits are set. */
  get settings(): RateLimitSettings {
    return this.parts.settings;
  }

  /** Counts `points` for `key` and tells where it stands then; a refusal is told to the metrics and the log. */
  async take(name: SharedLimitName, key: string, points = 1): Promise<Standing> {
    const standing = this.#standing(name, await this.#counts[name].add(key, points));
    if (!standing.ok) this.refused(name);
    return standing;
  }

  /** Counts something for `key` that is not refused for it now. */
  add(name: SharedLimitName, key: string, points = 1): Promise<Usage> {
    return this.#counts[name].add(key, points);
  }

  /** Takes nothing more from `key` for `duration_s`; see {@link blockedFor}. */
  block(key: string, duration_s: number): Promise<void> {
    return this.#blocks.hold(key, duration_s);
  }

  /** Whole seconds for which `key` is still blocked; 0 when it is not. */
  async blockedFor(key: string): Promise<number> {
    const block = await this.#blocks.look(key);
    return block === null ? 0 : Math.ceil(block.ends_in_ms / 1000);
  }

  /** What stands under `key`. */
  look(name: SharedLimitName, key: string): Promise<Usage | null> {
    return this.#counts[name].look(key);
  }

  /** Forgets `key`. */
  forget(name: SharedLimitName, key: string): Promise<void> {
    return this.#counts[name].forget(key);
  }

  /** A name for something that must not stand in Redis as it is. */
  hash(...parts: readonly string[]): string {
    const hmac = new Bun.CryptoHasher('sha256', this.parts.secret).update(JSON.stringify(parts));
    return hmac.digest('base64url').slice(0, HASH_CHARS);
  }

  /** Tells the metrics of a refusal, and the log when it is the first for a while. */
  refused(name: RateLimitName): void {
    this.parts.metrics.rate_limited.inc({ limit: name });
    const now = this.parts.clock.monotonic();
    const burst = this.#refusals.get(name);
    if (burst !== undefined && now - burst.logged_at < LOG_EVERY_MS) {
      burst.since += 1;
      return;
    }
    const { variable } = RATE_LIMITS[name];
    const { count, window_s } = this.settings.rates[name];
    this.parts.log.warn(
      { limit: name, setting: `${variable}=${count}/${window_s}`, refused_since_last_line: (burst?.since ?? 0) + 1 },
      'a rate limit refuses; what it refuses within the next minute is told with the first line after that',
    );
    this.#refusals.set(name, { logged_at: now, since: 0 });
  }

  #standing(name: SharedLimitName, { used, ends_in_ms }: Usage): Standing {
    const limit = this.settings.rates[name].count;
    const remaining = Math.max(limit - used, 0);
    return { limit, remaining, reset_s: Math.ceil(ends_in_ms / 1000), ok: used <= limit };
  }
}

/** The refusal that a standing means. */
export function overLimit(standing: Standing): ConcordError {
  return tooOften(standing.reset_s);
}

/** `RATE_LIMITED`, with its `Retry-After`. */
export function tooOften(retry_after_s: number): ConcordError {
  return new ConcordError('RATE_LIMITED', undefined, undefined, Math.max(retry_after_s, 1));
}
