/**
 * What the server knows about one HTTP exchange: its id, where it came from, which route took it, and its log. It hangs
 * on the `Request` itself by a WeakMap, because the object travels through Elysia untouched and because there is one
 * fact that Elysia cannot supply: the peer's address, which only the listening socket knows.
 *
 * `X-Forwarded-For` is a list that every hop appends to, so all of it but the last entry is whatever the caller wrote.
 * With `TRUST_PROXY=on` one proxy of ours stands in front, and the last entry is the address which that proxy saw: that
 * one is believed and no other. With it off the header is ignored.
 */
import { isIP } from 'node:net';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { Standing } from '../domain/rate-limits.ts';

/** What a route may know of the exchange it serves. */
export interface RequestContext {
  /** The caller's own when it sent a sane one. */
  readonly request_id: string;
  /** The caller's address, or {@link UNKNOWN_IP}. */
  readonly ip: string;
  /** Cut to {@link USER_AGENT_CHARS_MAX} characters; null when there is none. */
  readonly user_agent: string | null;
  /** Writes lines that carry the request's id and, once it is known, its user. */
  readonly log: Log;
  /** Has the response tell where the caller stands with a rate limit; of several, with the one that is closest to its end. */
  tellLimit(standing: Standing): void;
}

/** Stands where no socket told the peer's address, as in a request made inside the process. */
export const UNKNOWN_IP = 'unknown';

/** Longer ones are cut: the header is the caller's to write, and it is stored with the session. */
export const USER_AGENT_CHARS_MAX = 512;

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;

/** Where an exchange's facts come from. */
export interface RequestParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Whether one proxy of ours appends to `X-Forwarded-For`. */
  readonly trust_proxy: boolean;
}

/** The context of one exchange, with what only the HTTP floor writes: its route and its user. */
export class Exchange implements RequestContext {
  readonly request_id: string;
  readonly ip: string;
  readonly user_agent: string | null;
  readonly clock: Clock;
  /** Monotonic milliseconds at arrival. */
  readonly started_at: number;
  /** Template of the route that took the request, null while none has. */
  route: string | null = null;
  /** What {@link tellLimit} was told; null where nothing is limited. */
  standing: Standing | null = null;
  #user_id: string | null = null;
  #log: Log | null = null;
  readonly #root: Log;

  constructor(request: Request, parts: RequestParts) {
    const named = request.headers.get('x-request-id');
    this.request_id = named !== null && REQUEST_ID.test(named) ? named : parts.random.id();
    this.ip = addressOf(request, parts.trust_proxy);
    this.user_agent = request.headers.get('user-agent')?.slice(0, USER_AGENT_CHARS_MAX) ?? null;
    this.clock = parts.clock;
    this.started_at = parts.clock.monotonic();
    this.#root = parts.log;
  }

  /** The signed-in user, null before that is known and on open routes. */
  get user_id(): string | null {
    return this.#user_id;
  }

  set user_id(user_id: string) {
    this.#user_id = user_id;
    this.#log = null;
  }

  tellLimit(standing: Standing): void {
    const left = ({ remaining, limit }: Standing): number => remaining / limit;
    if (this.standing === null || !standing.ok || left(standing) < left(this.standing)) this.standing = standing;
  }

  get log(): Log {
    const user = this.#user_id === null ? {} : { user_id: this.#user_id };
    this.#log ??= this.#root.child({ request_id: this.request_id, ...user });
    return this.#log;
  }
}

const peers = new WeakMap<Request, string>();
const exchanges = new WeakMap<Request, Exchange>();

/** Tells which address `request` came from; the listener calls it before the request is handled. */
export function rememberPeer(request: Request, ip: string): void {
  peers.set(request, plainIp(ip));
}

/** Whether the request's address is one: Bun makes it of the Host header, whatever the caller wrote there. */
export function hasHost(request: Request): boolean {
  return URL.canParse(request.url);
}

/** HTTP/1.0 lets a caller leave the header out, as health checks of some balancers do: what has none is asked of us. */
export function addressed(request: Request): Request {
  if (hasHost(request) || request.headers.has('host')) return request;
  return new Request(`http://localhost${request.url}`, request);
}

/** A socket that listens on both families sees IPv4 callers as `::ffff:192.0.2.1`. */
function plainIp(ip: string): string {
  return ip.startsWith('::ffff:') && isIP(ip.slice(7)) === 4 ? ip.slice(7) : ip;
}

/** Begins the exchange of `request`. */
export function openExchange(request: Request, parts: RequestParts): Exchange {
  const exchange = new Exchange(request, parts);
  exchanges.set(request, exchange);
  return exchange;
}

/** The exchange of a request that {@link openExchange} has seen. */
export function exchangeOf(request: Request): Exchange {
  const exchange = exchanges.get(request);
  if (exchange === undefined) throw new Error('this request did not come in through createHttpApp');
  return exchange;
}

/** The caller's address: see the head of this file. Sockets ask here too, so that both doors believe the same. */
export function addressOf(request: Request, trust_proxy: boolean): string {
  const peer = peers.get(request) ?? UNKNOWN_IP;
  if (!trust_proxy) return peer;
  const last = request.headers.get('x-forwarded-for')?.split(',').at(-1)?.trim() ?? '';
  return isIP(last) === 0 ? peer : plainIp(last);
}
