import { afterAll, beforeAll, expect, test } from 'bun:test';
import type { Redis } from 'ioredis';
import { quietLog, readableLog } from '../../test/support/core.ts';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';
import { until } from '../../test/support/until.ts';
import { ServerChannels } from '../store/channels.ts';
import { connectRedis, redisReady } from '../store/redis.ts';
import type { Signal } from './gateway.ts';
import { SIGNAL_CHANNEL, SignalBus } from './signal-bus.ts';

let server: TestRedis;
let publisher: Redis;
beforeAll(async () => {
  server = await startRedis();
  publisher = connectRedis(server.url, { name: 'test', kind: 'commands', log: quietLog });
  await redisReady(publisher);
});
afterAll(async () => {
  publisher.disconnect();
  await server.stop();
});

const ROLE: Signal = { type: 'role', doc_id: 'd', user_id: 'u', role: 'viewer' };
const GONE: Signal = { type: 'document_deleted', doc_id: 'd' };

/** A node's bus, listening, and what it heard. */
async function bus(boot_id: string): Promise<{ signals: SignalBus; heard: Signal[]; close(): void }> {
  const signals = new SignalBus(boot_id, new ServerChannels(publisher), quietLog);
  const heard: Signal[] = [];
  signals.listen((signal) => void heard.push(signal));
  const subscriber = connectRedis(server.url, { name: 'listener', kind: 'standing', log: quietLog });
  subscriber.on('message', (_channel, message) => signals.receive(message));
  await subscriber.subscribe(SIGNAL_CHANNEL);
  return { signals, heard, close: () => subscriber.disconnect() };
}

test('a signal reaches its own node at once and every other one, each listener once', async () => {
  const [a, b, c] = [await bus('a'), await bus('b'), await bus('c')];
  const second: Signal[] = [];
  b.signals.listen((signal) => void second.push(signal));
  a.signals.send(ROLE);
  expect(a.heard).toEqual([ROLE]);
  a.signals.send(GONE);
  await until('the others to hear', () => b.heard.length === 2 && c.heard.length === 2);
  for (const { heard } of [a, b, c]) expect(heard).toEqual([ROLE, GONE]);
  expect(second).toEqual([ROLE, GONE]);
  for (const one of [a, b, c]) one.close();
});

test('what is no signal is ignored, and said', () => {
  const { log, lines } = readableLog();
  const signals = new SignalBus('a', new ServerChannels(publisher), log);
  const heard: Signal[] = [];
  signals.listen((signal) => void heard.push(signal));
  for (const message of [
    'not JSON',
    '{}',
    '{"from":"b"}',
    '{"from":"a","signal":{"type":"document_deleted","doc_id":"d"}}',
  ])
    signals.receive(message);
  expect(heard).toEqual([]);
  // Three that say nothing; the fourth is our own come back.
  expect(lines()).toMatchObject([{ level: 'warn' }, { level: 'warn' }, { level: 'warn' }]);
  for (const message of ['null', '7', '"text"']) expect(() => signals.receive(message)).not.toThrow();
});

test('without Redis a signal still reaches its own node, and it is said that the others were not told', async () => {
  const { log, lines } = readableLog();
  const away = connectRedis('redis://127.0.0.1:1', { name: 'away', kind: 'commands', log: quietLog });
  const signals = new SignalBus('a', new ServerChannels(away), log);
  const heard: Signal[] = [];
  signals.listen((signal) => void heard.push(signal));
  signals.send(GONE);
  expect(heard).toEqual([GONE]);
  await until('it to be said', () => lines().length > 0);
  expect(lines()).toMatchObject([{ level: 'warn', signal: 'document_deleted' }]);
  away.disconnect();
});
