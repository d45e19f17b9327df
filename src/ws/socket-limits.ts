/**
 * How much sockets may ask of a node. What a frame costs is looked up at every one of them, so there is no question to Redis
 * there and nothing is allocated: each bucket is one number.
 *
 * A bucket of `count` that refills within `window_s` is kept as the moment at which it will be full again (the generic cell
 * rate algorithm of ITU-T I.371, with its virtual scheduling): taking one moves that moment on by `window_s / count`, and it
 * may lie at most `window_s` ahead. A frame is taken only if it fits into all buckets, and costs nothing otherwise.
 *
 * - Every socket has a bucket of messages and one of bytes; so has every user, over all sockets on this node. A user's live on
 *   for as long as they are not full, so that connecting anew does not refill them.
 * - Nobody is known when a socket opens. Until it has shown a good token it counts for its address: against the number of such
 *   sockets that an address may have at once, and against a bucket of openings, into which it is put back once it has. So many
 *   people behind one address do not get into each other's way.
 * - Documents that a user opens are counted in Redis, by all nodes together: that is rare, and each asks PostgreSQL a lot.
 *
 * Over the limit a socket is closed with 1013. Where the wire can refuse a single message (JSON, with an `error`), it does
 * that for a while first; a Yjs update that was dropped would be missing for ever.
 */
import type { Clock, Timer } from '../base/clock.ts';
import { overLimit, type RateLimits } from '../domain/rate-limits.ts';
import type { ConcordError } from '../protocol/errors.ts';
import type { Rate, RateLimitName } from '../protocol/rate-limits.ts';

/** How often users and addresses of whom nothing is left to remember are forgotten. */
const SWEEP_MS = 10_000;

/** What becomes of a frame. `refuse`: it is not taken, and the socket may stay. */
export type Verdict = 'take' | 'refuse' | 'close';

/** A bucket: see the head of this file. Times are monotonic milliseconds. */
class Bucket {
  readonly #each_ms: number;
  readonly #window_ms: number;
  #full_at = 0;

  constructor(rate: Rate) {
    this.#window_ms = rate.window_s * 1000;
    this.#each_ms = this.#window_ms / rate.count;
  }

  /** Whether `count` are in it. A hundredth of one is let pass, since sums of fractions are not exact. */
  holds(now: number, count: number): boolean {
    return Math.max(this.#full_at, now) + (count - 0.01) * this.#each_ms <= now + this.#window_ms;
  }

  /** Takes `count` out of it. */
  take(now: number, count: number): void {
    this.#full_at = Math.max(this.#full_at, now) + count * this.#each_ms;
  }

  /** Puts `count` back into it. */
  putBack(count: number): void {
    this.#full_at -= count * this.#each_ms;
  }

  isFull(now: number): boolean {
    return this.#full_at <= now;
  }
}

/** What a socket, or a user, may send. */
interface Allowance {
  readonly messages: Bucket;
  readonly bytes: Bucket;
}

interface UserAllowance extends Allowance {
  sockets: number;
}

interface Address {
  readonly openings: Bucket;
  unauthenticated: number;
}

/** The limits of a node's sockets. */
export class SocketLimits {
  readonly #users = new Map<string, UserAllowance>();
  readonly #addresses = new Map<string, Address>();
  readonly #sweeping: Timer;

  constructor(
    private readonly limits: RateLimits,
    private readonly clock: Clock,
  ) {
    this.#sweeping = clock.every(SWEEP_MS, () => this.#sweep());
  }

  /** A socket was opened from this network. */
  arrive(network: string): Visit {
    const { rates, sockets_unauthenticated_max } = this.limits.settings;
    const now = this.clock.monotonic();
    const address = this.#addresses.get(network) ?? { openings: new Bucket(rates.socket_openings), unauthenticated: 0 };
    this.#addresses.set(network, address);
    const admitted = address.unauthenticated < sockets_unauthenticated_max && address.openings.holds(now, 1);
    if (!admitted) this.limits.refused('socket_openings');
    else address.openings.take(now, 1);
    return new Visit(this.clock, rates, address, admitted, {
      user: (user_id) => this.#user(user_id),
      refused: (name) => this.limits.refused(name),
    });
  }

  /** A user opens a document; the refusal if that was once too often. */
  async join(user_id: string): Promise<ConcordError | null> {
    const standing = await this.limits.take('joins', user_id);
    return standing.ok ? null : overLimit(standing);
  }

  /** How many users and addresses are remembered. */
  get size(): { readonly users: number; readonly addresses: number } {
    return { users: this.#users.size, addresses: this.#addresses.size };
  }

  /** Stops its timer. */
  stop(): void {
    this.#sweeping.cancel();
  }

  #user(user_id: string): UserAllowance {
    const { user_messages, user_bytes } = this.limits.settings.rates;
    const known = this.#users.get(user_id);
    const user = known ?? { messages: new Bucket(user_messages), bytes: new Bucket(user_bytes), sockets: 0 };
    if (known === undefined) this.#users.set(user_id, user);
    return user;
  }

  #sweep(): void {
    const now = this.clock.monotonic();
    for (const [user_id, { sockets, messages, bytes }] of this.#users)
      if (sockets === 0 && messages.isFull(now) && bytes.isFull(now)) this.#users.delete(user_id);
    for (const [network, { unauthenticated, openings }] of this.#addresses)
      if (unauthenticated === 0 && openings.isFull(now)) this.#addresses.delete(network);
  }
}

/** What a visit asks of the limits that it belongs to. */
interface Host {
  user(user_id: string): UserAllowance;
  refused(name: RateLimitName): void;
}

/** One socket. Call {@link leave} when it is gone. */
export class Visit {
  readonly #messages: Bucket;
  readonly #bytes: Bucket;
  readonly #refusals: Bucket;
  #user: UserAllowance | null = null;
  #state: 'unknown' | 'known' | 'left' = 'unknown';

  constructor(
    private readonly clock: Clock,
    rates: Readonly<Record<RateLimitName, Rate>>,
    private readonly address: Address,
    /** Whether it may go on: false when its address has too many. */
    readonly admitted: boolean,
    private readonly host: Host,
  ) {
    this.#messages = new Bucket(rates.socket_messages);
    this.#bytes = new Bucket(rates.socket_bytes);
    this.#refusals = new Bucket(rates.socket_refusals);
    address.unauthenticated += 1;
  }

  /** The socket has shown a good token. From now on it counts for that user; for the first, if it has several. */
  known(user_id: string): void {
    if (this.#state !== 'unknown') return;
    this.#state = 'known';
    this.address.unauthenticated -= 1;
    if (this.admitted) this.address.openings.putBack(1);
    this.#user = this.host.user(user_id);
    this.#user.sockets += 1;
  }

  /** The socket is gone. */
  leave(): void {
    if (this.#state === 'unknown') this.address.unauthenticated -= 1;
    this.#state = 'left';
    if (this.#user !== null) this.#user.sockets -= 1;
    this.#user = null;
  }

  /** A frame of this length arrived: bytes, or UTF-16 code units of text. */
  arrived(length: number): Verdict {
    const now = this.clock.monotonic();
    const over = this.#over(now, length);
    if (over !== null) return this.#refuse(now, over);
    this.#messages.take(now, 1);
    this.#bytes.take(now, length);
    this.#user?.messages.take(now, 1);
    this.#user?.bytes.take(now, length);
    return 'take';
  }

  /** The limit that such a frame is over. */
  #over(now: number, length: number): RateLimitName | null {
    if (!this.#messages.holds(now, 1)) return 'socket_messages';
    if (!this.#bytes.holds(now, length)) return 'socket_bytes';
    if (this.#user?.messages.holds(now, 1) === false) return 'user_messages';
    if (this.#user?.bytes.holds(now, length) === false) return 'user_bytes';
    return null;
  }

  #refuse(now: number, name: RateLimitName): Verdict {
    this.host.refused(name);
    if (!this.#refusals.holds(now, 1)) return 'close';
    this.#refusals.take(now, 1);
    return 'refuse';
  }
}
