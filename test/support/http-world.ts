/**
 * A whole HTTP door for tests: real PostgreSQL and Redis, a real listening socket, and a clock that the test moves. Each
 * successful answer is held against the OpenAPI document that the server itself publishes, so a field too many, or one
 * that is missing, fails whatever test met it.
 */
import { expect } from 'bun:test';
import type { Signal } from '../../src/actors/gateway.ts';
import { ManualClock } from '../../src/base/clock.ts';
import { createLog } from '../../src/base/log.ts';
import { createMetrics, type Metrics } from '../../src/base/metrics.ts';
import { systemRandom } from '../../src/base/random.ts';
import { Accounts, type SignedIn } from '../../src/domain/accounts.ts';
import { Passwords } from '../../src/domain/passwords.ts';
import { Sessions } from '../../src/domain/sessions.ts';
import { AccessTokens } from '../../src/domain/tokens.ts';
import { createHttpApp, type HttpParts } from '../../src/http/app.ts';
import type { Readiness } from '../../src/http/health.ts';
import { rememberPeer } from '../../src/http/request.ts';
import { connectDatabase, type Database } from '../../src/store/postgres.ts';
import { connectRedis, redisReady } from '../../src/store/redis.ts';
import { SessionCache } from '../../src/store/sessions-cache.ts';
import { conformityFaults } from './openapi-conformity.ts';

/** A response, read. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape
  readonly body: any;
}

/** What a call may carry. */
export interface Call {
  readonly token?: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Where things come from and what may differ from one test file to the next. */
export interface WorldOptions {
  readonly database_url: string;
  readonly redis_url: string;
  readonly parts?: Partial<HttpParts>;
}

/** See the head of this file. */
export interface World {
  readonly url: string;
  readonly sql: Database;
  readonly clock: ManualClock;
  readonly tokens: AccessTokens;
  readonly sessions: Sessions;
  readonly accounts: Accounts;
  readonly metrics: Metrics;
  /** Signals sent so far. */
  readonly signals: Signal[];
  /** Log lines so far, parsed. */
  readonly lines: Record<string, unknown>[];
  /** Errors reported so far. */
  readonly reported: unknown[];
  /** What `/readyz` hears. */
  readiness: Readiness;
  call(method: string, path: string, call?: Call): Promise<Answer>;
  /** Makes an account and signs in; the e-mail and the password follow from the name. */
  register(name: string): Promise<SignedIn>;
  close(): Promise<void>;
}

export const SECRET = 'a secret of at least thirty-two bytes, for tests';
export const ACCESS_TTL_S = 900;
export const REFRESH_TTL_S = 30 * 86_400;

/** The e-mail of {@link World.register}. */
export const emailOf = (name: string): string => `${name}@example.org`;
/** The password of {@link World.register}. */
export const passwordOf = (name: string): string => `open sesame, says ${name}`;

/** Starts the door. */
export async function createHttpWorld(options: WorldOptions): Promise<World> {
  const clock = new ManualClock();
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const log = createLog({ level: 'debug', service: 'test', node_id: 'test', destination });
  const sql = connectDatabase(options.database_url, { connections_max: 8, application_name: 'test' });
  const redis = connectRedis(options.redis_url, { name: 'test', kind: 'commands', log });
  await redisReady(redis);
  const signals: Signal[] = [];
  const reported: unknown[] = [];
  const random = systemRandom;
  const tokens = new AccessTokens({ clock, random, secret: SECRET, ttl_s: ACCESS_TTL_S });
  const cache = new SessionCache(redis, clock, ACCESS_TTL_S);
  const told = { send: (signal: Signal) => void signals.push(signal) };
  const sessions = new Sessions({ sql, clock, random, tokens, cache, signals: told, refresh_ttl_s: REFRESH_TTL_S });
  const passwords = new Passwords(random);
  const accounts = new Accounts({ sql, clock, random, passwords, sessions, signals: told });
  const metrics = createMetrics();
  const app = createHttpApp({
    clock,
    random,
    log,
    metrics,
    trust_proxy: false,
    cors_origins: [],
    version: '0.0.0-test',
    users: { accounts, sessions, sql, cluster: { nodes: async () => [], actors: async () => [] } },
    documents: null,
    collaboration: null,
    worker: null,
    ready: async () => world.readiness,
    authenticate: (...asked) => sessions.authenticate(...asked),
    limits: null,
    isAdmin: (user_id) => accounts.isAdmin(user_id),
    reporter: { report: (error) => void reported.push(error), close: async () => {} },
    ...options.parts,
  });
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    maxRequestBodySize: 64 * 1024 * 1024,
    fetch(request, server) {
      rememberPeer(request, server.requestIP(request)?.address ?? '');
      return app.handle(request);
    },
  });
  const url = server.url.origin;
  const published = await (await fetch(`${url}/docs/json`)).json();

  const call = async (method: string, path: string, { token, body, headers }: Call = {}): Promise<Answer> => {
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const answer = { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) };
    if (text !== '') expect(conformityFaults(published, method, path, answer)).toEqual([]);
    return answer;
  };

  const world: World = {
    url,
    sql,
    clock,
    tokens,
    sessions,
    accounts,
    metrics,
    signals,
    lines,
    reported,
    readiness: { ok: true },
    call,
    async register(name) {
      const body = { email: emailOf(name), password: passwordOf(name), display_name: name };
      const answer = await call('POST', '/v1/auth/register', { body });
      expect(answer.status).toBe(201);
      return answer.body.data;
    },
    async close() {
      await server.stop(true);
      redis.disconnect();
      await sql.end();
    },
  };
  return world;
}
