/**
 * What `bun src/main.ts` says when its settings are well-formed and lead nowhere: it ends, and names the setting and the
 * reason, so that nobody has to guess which of them it was.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { freePort } from '../bin/lib/ports.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { launchServer } from './support/processes.ts';
import { startRedis, type TestRedis } from './support/redis.ts';

let database: TestDatabase;
let redis: TestRedis;
beforeAll(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
});
afterAll(() => Promise.all([database.drop(), redis.stop()]));

/** How a server with these settings ends, and its last words. */
async function ending(env: Record<string, string>): Promise<[code: number, message: unknown]> {
  const server = await launchServer({ DATABASE_URL: database.url, REDIS_URL: redis.url, ...env });
  const code = await server.exited;
  return [code, server.log().find(({ level }) => level === 'fatal')?.message];
}

test('a port is not shared with another program, even one that would share it', async () => {
  const other = Bun.serve({ hostname: '127.0.0.1', port: 0, reusePort: true, fetch: () => new Response() });
  const port = String(other.port);
  const [code, message] = await ending({ PORT: port });
  await other.stop(true);
  expect(code).toBe(1);
  expect(message).toContain(`HOST and PORT name an address that cannot be had, 127.0.0.1:${port}: `);
  expect(message).toContain('EADDRINUSE');
});

test('a database that does not answer is named by its setting, without the password that stands there', async () => {
  const nobody = await freePort();
  const [code, message] = await ending({ DATABASE_URL: `postgres://concord:hunter2@127.0.0.1:${nobody}/concord` });
  expect(code).toBe(1);
  expect(message).toContain('DATABASE_URL names a database that cannot be used: ');
  expect(message).toContain('ECONNREFUSED');
  expect(message).not.toContain('hunter2');
});
