import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { once } from 'node:events';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';
import { systemClock } from '../base/clock.ts';
import { createLog, type Log } from '../base/log.ts';
import { connectRedis, redisReady } from './redis.ts';

let server: TestRedis;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

function recordingLog(): { readonly log: Log; readonly lines: { level: string; message: string }[] } {
  const lines: { level: string; message: string }[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  return { log: createLog({ level: 'info', service: 'test', node_id: 'test', destination }), lines };
}

describe('a connection for commands', () => {
  test('fails at once while Redis is away, and works again when it is back', async () => {
    const { log, lines } = recordingLog();
    const redis = connectRedis(server.url, { name: 'commands', kind: 'commands', log });
    await redisReady(redis);
    expect(await redis.set('a', '1')).toBe('OK');
    await Promise.all([once(redis, 'close'), server.stop()]);
    const began = systemClock.monotonic();
    for (let i = 0; i < 2; i++) expect(await redis.get('a').catch(String)).toContain("isn't writeable");
    expect(systemClock.monotonic() - began).toBeLessThan(100);
    await server.start();
    await redisReady(redis);
    expect(await redis.get('a')).toBeNull();
    expect(lines.map((line) => [line.level, line.message])).toEqual([
      ['warn', 'Redis is away; trying again until it is back'],
      ['info', 'Redis is back'],
    ]);
    redis.disconnect();
  });

  test('is known by its name', async () => {
    const { log } = recordingLog();
    const redis = connectRedis(server.url, { name: 'concord-test', kind: 'commands', log });
    await redisReady(redis);
    expect(await redis.client('GETNAME')).toBe('concord-test');
    redis.disconnect();
  });

  test('that is closed before it was ready is not waited for', async () => {
    const { log } = recordingLog();
    const redis = connectRedis('redis://127.0.0.1:1', { name: 'x', kind: 'commands', log });
    const ready = redisReady(redis);
    redis.disconnect();
    expect(ready).rejects.toThrow('closed before it was ready');
    await ready.catch(() => {});
  });
});

describe('a standing connection', () => {
  test('keeps what it was asked until Redis is back', async () => {
    const { log } = recordingLog();
    const redis = connectRedis(server.url, { name: 'standing', kind: 'standing', log });
    await redisReady(redis);
    await Promise.all([once(redis, 'close'), server.stop()]);
    const answer = redis.set('b', '2');
    await server.start();
    expect(await answer).toBe('OK');
    redis.disconnect();
  });
});
