/** What becomes of sessions when Redis forgets, lies down or never answers: PostgreSQL is the truth. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import type { Redis } from 'ioredis';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';
import { type Clock, ManualClock, systemClock } from '../base/clock.ts';
import { createLog } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import { connectDatabase, type Database } from '../store/postgres.ts';
import { connectRedis, redisReady } from '../store/redis.ts';
import { ALIVE_S, SessionCache } from '../store/sessions-cache.ts';
import { insertUser, type UserRow } from '../store/users.ts';
import { Sessions, type TokenPair } from './sessions.ts';
import { AccessTokens } from './tokens.ts';

const log = createLog({ level: 'silent', service: 'test', node_id: 'test' });
const TTL_S = 900;
const ORIGIN = { ip: '192.0.2.1', user_agent: null, request_id: 'a-request' };

let database: TestDatabase;
let server: TestRedis;
let sql: Database;
let redis: Redis;
let user: UserRow;

beforeAll(async () => {
  [database, server] = await Promise.all([createTestDatabase(), startRedis()]);
  sql = connectDatabase(database.url, { connections_max: 4, application_name: 'test' });
  redis = connectRedis(server.url, { name: 'test', kind: 'commands', log });
  await redisReady(redis);
  const row = await insertUser(sql, {
    id: systemRandom.id(),
    email: 'ada@example.org',
    email_key: 'ada@example.org',
    display_name: 'Ada',
    password_hash: 'hash',
    at: new Date(systemClock.now()),
  });
  if (row === 'taken') throw new Error('a fresh database has no accounts');
  user = row;
});
afterAll(async () => {
  redis.disconnect();
  await sql.end();
  await server.stop();
  await database.drop();
});
beforeEach(async () => {
  await redis.flushall();
});

/** Sessions as one node has them: each node has a connection of its own and they share the database. */
function node(connection: Redis, pool: Database = sql, clock: Clock = new ManualClock()): Sessions {
  const tokens = new AccessTokens({ clock, random: systemRandom, secret: 'x'.repeat(32), ttl_s: TTL_S });
  const cache = new SessionCache(connection, clock, TTL_S);
  const signals = { send: () => {} };
  return new Sessions({ sql: pool, clock, random: systemRandom, tokens, cache, signals, refresh_ttl_s: 3_600 });
}

async function open(sessions: Sessions): Promise<TokenPair & { readonly session_id: string }> {
  const pair = await sessions.open(sql, { id: user.id, role: 'user', password_hash: 'hash' }, ORIGIN);
  if (pair === null) throw new Error('the password is right');
  return { ...pair, session_id: JSON.parse(atob(pair.access_token.split('.')[1] ?? '')).sid };
}

const REVOKED = { ok: false, code: 'TOKEN_REVOKED' } as const;

describe('whether a session is alive', () => {
  test('is asked of PostgreSQL once, then of Redis for a while', async () => {
    const asked: string[] = [];
    const pool = new Proxy(sql, {
      apply(target, self, args) {
        asked.push(String(args[0]));
        return Reflect.apply(target as unknown as (...args: unknown[]) => unknown, self, args);
      },
    });
    const sessions = node(redis, pool);
    const { access_token, session_id } = await open(sessions);
    for (let times = 0; times < 5; times++) expect((await sessions.authenticate(access_token)).ok).toBe(true);
    expect(asked).toHaveLength(1);
    expect(await redis.get(`session:${session_id}`)).toBe('alive');
    expect(await redis.ttl(`session:${session_id}`)).toBeLessThanOrEqual(ALIVE_S);
  });

  test('is no once it was revoked, on every node, at once', async () => {
    const [here, there] = [node(redis), node(redis)];
    const { access_token, session_id } = await open(here);
    expect((await there.authenticate(access_token)).ok).toBe(true);
    await here.endOne(user.id, session_id, ORIGIN);
    expect(await there.authenticate(access_token)).toEqual(REVOKED);
    expect(await redis.ttl(`session:${session_id}`)).toBeGreaterThan(TTL_S - 5);
  });

  test('is no for a revoked session after Redis has lost everything', async () => {
    const sessions = node(redis);
    const { access_token, session_id } = await open(sessions);
    await sessions.endOne(user.id, session_id, ORIGIN);
    await redis.flushall();
    expect(await sessions.authenticate(access_token)).toEqual(REVOKED);
  });

  test('is not written as yes over a no that came in between', async () => {
    const sessions = node(redis);
    const { session_id } = await open(sessions);
    const cache = new SessionCache(redis, new ManualClock(), TTL_S);
    await cache.rememberRevoked([session_id]);
    await cache.rememberAlive(session_id);
    expect(await cache.recall(session_id)).toBe('revoked');
  });

  test('does not depend on what else may stand in Redis', async () => {
    const sessions = node(redis);
    const { access_token, session_id } = await open(sessions);
    await redis.set(`session:${session_id}`, 'nonsense');
    expect((await sessions.authenticate(access_token)).ok).toBe(true);
    await redis.del(`session:${session_id}`);
    await redis.lpush(`session:${session_id}`, 'a list');
    expect((await sessions.authenticate(access_token)).ok).toBe(true);
  });
});

describe('with Redis gone', () => {
  test('sessions work and end all the same, and Redis is asked again when it is back', async () => {
    const own = await startRedis();
    const connection = connectRedis(own.url, { name: 'test', kind: 'commands', log });
    await redisReady(connection);
    const sessions = node(connection);
    const [kept, ended] = [await open(sessions), await open(sessions)];
    await own.stop();
    expect((await sessions.authenticate(kept.access_token)).ok).toBe(true);
    expect((await sessions.refresh(kept.refresh_token, ORIGIN)).token_type).toBe('Bearer');
    await sessions.endOne(user.id, ended.session_id, ORIGIN);
    expect(await sessions.authenticate(ended.access_token)).toEqual(REVOKED);
    await own.start();
    await redisReady(connection);
    expect(await node(connection).authenticate(ended.access_token)).toEqual(REVOKED);
    expect((await node(connection).authenticate(kept.access_token)).ok).toBe(true);
    expect(await connection.get(`session:${kept.session_id}`)).toBe('alive');
    connection.disconnect();
    await own.stop();
  });

  test('nobody waits long for a Redis that takes questions and does not answer', async () => {
    const own = await startRedis();
    const connection = connectRedis(own.url, { name: 'test', kind: 'commands', log });
    await redisReady(connection);
    const sessions = node(connection, sql, systemClock);
    const { access_token } = await open(sessions);
    own.pause();
    const began = systemClock.monotonic();
    for (let times = 0; times < 20; times++) expect((await sessions.authenticate(access_token)).ok).toBe(true);
    expect(systemClock.monotonic() - began).toBeLessThan(500);
    own.resume();
    connection.disconnect();
    await own.stop();
  });
});
