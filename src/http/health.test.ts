import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createTestDatabase } from '../../test/support/database.ts';
import { createHttpWorld, type World } from '../../test/support/http-world.ts';
import { startRedis } from '../../test/support/redis.ts';

let world: World;
const closing: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  const [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  world = await createHttpWorld({ database_url: database.url, redis_url: redis.url });
  closing.push(world.close, redis.stop, database.drop);
});
afterAll(async () => {
  for (const close of closing) await close();
});

test('a process that lives says so, whatever else is wrong', async () => {
  world.readiness = { ok: false, reason: 'PostgreSQL does not answer' };
  expect((await world.call('GET', '/healthz?now=1')).status).toBe(200);
  const { status, body } = await world.call('GET', '/healthz');
  expect([status, body]).toEqual([200, { success: true, data: { status: 'ok' } }]);
});

test('a process is ready when it says so, and otherwise names what is missing', async () => {
  world.readiness = { ok: true };
  expect((await world.call('GET', '/readyz')).status).toBe(200);
  world.readiness = { ok: false, reason: 'PostgreSQL does not answer' };
  const { status, body, headers } = await world.call('GET', '/readyz');
  expect(status).toBe(503);
  expect(body.error).toEqual({ code: 'UNAVAILABLE', message: 'PostgreSQL does not answer' });
  expect(headers.get('retry-after')).toBe('2');
});

test('the metrics are Prometheus text', async () => {
  const response = await fetch(`${world.url}/metrics`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(await response.text()).toContain('# TYPE http_request_duration_seconds histogram');
});
