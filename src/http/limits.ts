/**
 * Rate limits as the HTTP door applies them. Whoever shows a good token counts as a user, whatever their address; everybody
 * else counts by address. Signing in and registering have limits of their own besides.
 *
 * Responses of limited routes tell where the caller stands, in the header fields that most clients know: `RateLimit-Limit`,
 * `RateLimit-Remaining` and `RateLimit-Reset` (seconds), with `Retry-After` on a 429. Where several limits apply, they tell
 * of the one that is the closest to its end.
 */
import { networkOf } from '../base/network.ts';
import { emailKey } from '../domain/accounts-email.ts';
import { type Attempt, AttemptGuard } from '../domain/attempts.ts';
import { overLimit, type RateLimits, type Standing } from '../domain/rate-limits.ts';
import type { Caller } from '../domain/tokens.ts';
import { ConcordError } from '../protocol/errors.ts';
import type { SharedLimitName } from '../protocol/rate-limits.ts';
import { exchangeOf, type RequestContext } from './request.ts';

/** What a call costs of its user's points; one where a route says nothing. */
export type Cost = (request: Request) => number;

/** Content of this many bytes costs one point more. */
const BYTES_PER_POINT = 64 * 1024;

/** Routes that read much of a document's history. */
export const HISTORY_COST: Cost = () => 5;

/** The past is composed from the history, and its Yjs state is built anew besides. */
export const contentCost: Cost = ({ url }) => (/[?&]rev=/.test(url) ? (/[?&]format=yjs/.test(url) ? 20 : 5) : 1);

/** What a body costs by its size. */
export const bodyCost: Cost = ({ headers }) => {
  const bytes = Number(headers.get('content-length') ?? 0);
  return 1 + (bytes > 0 ? Math.min(Math.floor(bytes / BYTES_PER_POINT), 1_000) : 0);
};

/** See the head of this file. Every method may throw RATE_LIMITED, with its `Retry-After`. */
export class HttpLimits {
  readonly #guard: AttemptGuard;

  constructor(private readonly limits: RateLimits) {
    this.#guard = new AttemptGuard(limits);
  }

  /** A call of whoever turns out to be its user. */
  charge(points: number): Charge {
    return new Charge(this.limits, points);
  }

  /** A call of nobody that we know. */
  address(request: Request): Promise<void> {
    const exchange = exchangeOf(request);
    return this.#take(exchange, 'ip', this.#from(exchange), 1);
  }

  /** Something that a user does, or nobody that we know; counted by address then. */
  action(context: RequestContext, name: 'register' | 'refresh' | 'documents', user_id: string | null): Promise<void> {
    return this.#take(context, name, user_id ?? this.#from(context), 1);
  }

  /** A registration, as one of those of its e-mail. */
  registration(context: RequestContext, email: string): Promise<void> {
    return this.#take(context, 'register_email', this.limits.hash('register', emailKey(email)), 1);
  }

  /** Signs in by `prove`. */
  async signIn<T>(context: RequestContext, email: string, prove: () => Promise<T>): Promise<T> {
    const from = this.#from(context);
    const name = emailKey(email);
    await this.#take(context, 'sign_in', from, 1);
    const attempt = {
      limit: 'sign_in_failures',
      key: this.limits.hash('sign-in', name, networkOf(context.ip)),
      target: this.limits.hash('sign-in', name),
    } as const;
    const signed_in = await this.#attempt(context, attempt, prove);
    // Those who belong here may be many at one address.
    await this.limits.add('sign_in', from, -1);
    return signed_in;
  }

  /** Has a user who is signed in prove it again with the password. */
  password<T>(context: RequestContext, user_id: string, prove: () => Promise<T>): Promise<T> {
    const attempt = { limit: 'password_failures', key: user_id, target: null } as const;
    return this.#attempt(context, attempt, prove);
  }

  /** Of a refusal by the guard the headers tell that nothing is left until it may be tried again. */
  async #attempt<T>(context: RequestContext, attempt: Attempt, prove: () => Promise<T>): Promise<T> {
    try {
      return await this.#guard.run(attempt, prove);
    } catch (error) {
      if (error instanceof ConcordError && error.code === 'RATE_LIMITED') {
        const limit = this.limits.settings.rates[attempt.limit].count;
        context.tellLimit({ limit, remaining: 0, reset_s: error.retry_after_s ?? 1, ok: false });
      }
      throw error;
    }
  }

  async #take(context: RequestContext, name: SharedLimitName, key: string, points: number): Promise<void> {
    heed(context, await this.limits.take(name, key, points));
  }

  #from(context: RequestContext): string {
    return this.limits.hash('address', networkOf(context.ip));
  }
}

type ChargedUser = Pick<Caller, 'user_id'>;

/**
 * What a call costs its user. The question to Redis may begin as soon as the token is known to be genuine, and travels with
 * the one about its session then; if that has ended, nobody is charged.
 */
export class Charge {
  #begun: { readonly user: ChargedUser; readonly standing: Promise<Standing> } | null = null;

  constructor(
    private readonly limits: RateLimits,
    private readonly points: number,
  ) {}

  /** Asks what is left of the user's limit. */
  readonly begin = (user: ChargedUser): Promise<Standing> => {
    const standing = this.limits.take('user', user.user_id, this.points);
    this.#begun = { user, standing };
    return standing;
  };

  /** Lets the call go on. Errors: RATE_LIMITED. */
  async settle(context: RequestContext, user: ChargedUser): Promise<void> {
    heed(context, await (this.#begun?.standing ?? this.begin(user)));
  }

  /** Charges nobody after all. */
  async undo(): Promise<void> {
    if (this.#begun !== null) await this.limits.add('user', this.#begun.user.user_id, -this.points);
  }
}

/** Has the response tell of `standing`. Errors: RATE_LIMITED. */
function heed(context: RequestContext, standing: Standing): void {
  context.tellLimit(standing);
  if (!standing.ok) throw overLimit(standing);
}

/** The header fields that tell of `standing`. */
export function limitHeaders({ limit, remaining, reset_s }: Standing): readonly (readonly [string, string])[] {
  return [
    ['ratelimit-limit', String(limit)],
    ['ratelimit-remaining', String(remaining)],
    ['ratelimit-reset', String(reset_s)],
  ];
}
