/**
 * A whole server in the test's own process: the one that `bun src/main.ts` runs, on a database and a Redis of its own, on
 * a clock that can be moved ahead. What it logs and reports is kept, so that a test file can end by asking whether
 * anything went wrong that nobody saw.
 */
import { expect } from 'bun:test';
import { freePort } from '../../bin/lib/ports.ts';
import { createLog } from '../../src/base/log.ts';
import { readConfig } from '../../src/config.ts';
import { type Running, startServer } from '../../src/main.ts';
import type { Role } from '../../src/protocol/messages.ts';
import { createNode } from '../../src/services/node.ts';
import type { Database } from '../../src/store/postgres.ts';
import { createTestDatabase, holdLock, type TestDatabase } from './database.ts';
import { startRedis, type TestRedis } from './redis.ts';
import { until } from './until.ts';
import { WarpClock } from './warp-clock.ts';

/** Somebody with an account, signed in. */
export interface TestUser {
  readonly user_id: string;
  readonly display_name: string;
  readonly email: string;
  /** An access token. */
  readonly token: string;
  readonly refresh_token: string;
}

/** A REST answer, read. */
export interface TestAnswer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape
  readonly body: any;
}

/** See the head of this file. */
export interface TestServer {
  /** Such as `http://127.0.0.1:20000`; stays the same over restarts. */
  readonly url: string;
  /** The same for sockets: `ws://…`. */
  readonly ws_url: string;
  readonly redis_url: string;
  /** For servers beside it. */
  readonly stores: TestStores;
  /** The server's time. */
  readonly clock: WarpClock;
  /** A pool of the test's own on the server's database. */
  readonly sql: Database;
  /** A REST call with a JSON body. */
  call(method: string, path: string, token?: string, body?: unknown): Promise<TestAnswer>;
  /** Makes an account and signs in. Names are unique within a server. */
  register(name: string): Promise<TestUser>;
  /** Signs in once more: another session of the same user. */
  signIn(user: TestUser): Promise<TestUser>;
  /** Makes a document, with `text` in it if given; returns its id. */
  createDocument(owner: TestUser, text?: string): Promise<string>;
  /** Gives `user` a role on the document, or changes it. */
  share(owner: TestUser, doc_id: string, user: TestUser, role: Role): Promise<void>;
  /** The text as REST shows it to `user`: an embed is U+FFFC. */
  text(user: TestUser, doc_id: string): Promise<string>;
  /**
   * Keeps this document's edits from reaching the disk, as slow storage would; resolves to what lets them go. The flush
   * that waits holds up the edits of other documents too.
   */
  holdJournal(doc_id: string): Promise<() => Promise<void>>;
  /** Moves the server's time ahead, once no write is on its way that would seem to take all that time. */
  later(duration_ms: number): Promise<void>;
  /** What `/metrics` has for a series, labels and all; undefined for one that it does not name. */
  metric(series: string): Promise<number | undefined>;
  /** What was logged as an error or reported as a bug so far. */
  errors(): unknown[];
  /** All that was logged so far, as it was written: one record each. */
  logged(): readonly string[];
  /** Stops in order and starts again on the same port and data. */
  restart(): Promise<void>;
  /** Stops and removes everything. */
  stop(): Promise<void>;
}

/** What the nodes of one deployment share. */
export interface TestStores {
  readonly database: TestDatabase;
  readonly redis: TestRedis;
}

async function openStores(): Promise<TestStores> {
  const [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  return { database, redis };
}

const PASSWORD = 'open sesame, says the test';

/**
 * Starts a server. `env` overrides its settings. `beside`: another one whose database and Redis it shares, as nodes of one
 * deployment do; that one is stopped last.
 */
export async function openTestServer(
  env: Readonly<Record<string, string>> = {},
  beside: TestServer | null = null,
): Promise<TestServer> {
  const [stores, port] = await Promise.all([beside?.stores ?? openStores(), freePort()]);
  const { database, redis } = stores;
  const config = readConfig({
    HOST: '127.0.0.1',
    PORT: String(port),
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    JWT_SECRET: 'a secret for tests, of at least 32 bytes',
    RATE_LIMITS: 'off',
    LOG_LEVEL: 'warn',
    ...env,
  });
  const clock = new WarpClock();
  const lines: string[] = [];
  const reported: unknown[] = [];
  const start = (): Promise<Running> => {
    const node = createNode(config, 'test');
    const destination = { write: (line: string) => void lines.push(line) };
    const log = createLog({ level: config.log_level, service: 'test', node_id: node.identity.node_id, destination });
    const reporter = { report: (error: unknown) => void reported.push(error), close: async () => {} };
    return startServer({ ...node, clock, log, reporter });
  };
  let running = await start();
  const url = `http://127.0.0.1:${port}`;

  const call: TestServer['call'] = async (method, path, token, body) => {
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  };
  /** The `data` of a call that must succeed. */
  const done = async (...args: Parameters<typeof call>) => {
    const answer = await call(...args);
    expect(answer.body).toMatchObject({ success: true });
    return answer.body.data;
  };
  const signedIn = (path: string, body: object) => done('POST', path, undefined, body).then(toUser);

  return {
    url,
    ws_url: `ws://127.0.0.1:${port}`,
    redis_url: redis.url,
    stores,
    clock,
    sql: database.sql,
    call,
    register: (name) =>
      signedIn('/v1/auth/register', { email: `${name}@example.org`, password: PASSWORD, display_name: name }),
    signIn: ({ email }) => signedIn('/v1/auth/login', { email, password: PASSWORD }),
    async createDocument(owner, text) {
      const content = text === undefined ? {} : { content: { format: 'text', value: text } };
      return (await done('POST', '/v1/documents', owner.token, { title: 'A document', ...content })).id;
    },
    async share(owner, doc_id, user, role) {
      await done('POST', `/v1/documents/${doc_id}/permissions`, owner.token, { email: user.email, role });
    },
    async text(user, doc_id) {
      return (await done('GET', `/v1/documents/${doc_id}/content?format=text`, user.token)).value;
    },
    holdJournal: (doc_id) =>
      holdLock(database.sql, (sql) => sql`SELECT 1 FROM document_heads WHERE doc_id = ${doc_id} FOR UPDATE`),
    async later(duration_ms) {
      await until('the journal to be still', async () => {
        const [row] = await database.sql`SELECT count(*)::int AS flushes FROM pg_stat_activity
          WHERE datname = current_database() AND state = 'active' AND application_name LIKE '% journal'`;
        return row?.flushes === 0;
      });
      clock.advance(duration_ms);
    },
    async metric(series) {
      const lines = (await (await fetch(`${url}/metrics`)).text()).split('\n');
      const line = lines.find((one) => one.startsWith(`${series} `));
      return line === undefined ? undefined : Number(line.slice(series.length));
    },
    errors: () => [...lines.filter((line) => /"level":"(error|fatal)"/.test(line)), ...reported],
    logged: () => lines,
    async restart() {
      await running.stop();
      clock.stop();
      running = await start();
    },
    async stop() {
      await running.stop();
      clock.stop();
      if (beside === null) await Promise.all([database.drop(), redis.stop()]);
    },
  };
}

function toUser(data: {
  readonly user: { readonly id: string; readonly display_name: string; readonly email: string };
  readonly access_token: string;
  readonly refresh_token: string;
}): TestUser {
  const { id, display_name, email } = data.user;
  return { user_id: id, display_name, email, token: data.access_token, refresh_token: data.refresh_token };
}
