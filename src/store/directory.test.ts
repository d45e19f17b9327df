import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import type { Redis } from 'ioredis';
import { quietLog } from '../../test/support/core.ts';
import { startRedis, type TestRedis } from '../../test/support/redis.ts';
import { until } from '../../test/support/until.ts';
import { ManualClock } from '../base/clock.ts';
import { seededRandom } from '../base/random.ts';
import { TIMES } from '../protocol/limits.ts';
import { documentChannel, EventPublisher, ServerChannels } from './channels.ts';
import { type ActorEntry, entryText, nodeChannel, RedisDirectory } from './directory.ts';
import type { NodeIdentity } from './heads.ts';
import { connectRedis, redisReady } from './redis.ts';

const random = seededRandom(14);
const node = (node_id: string): NodeIdentity => ({ node_id, boot_id: random.id() });
const owned = (owner: NodeIdentity, epoch: number): ActorEntry => ({ state: 'owned', epoch, ...owner });

let server: TestRedis;
let redis: Redis;
let channels: ServerChannels;
let directory: RedisDirectory;
beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, { name: 'test', kind: 'commands', log: quietLog });
  await redisReady(redis);
  channels = new ServerChannels(redis);
  directory = new RedisDirectory(redis, channels);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(() => redis.flushall());

describe('nodes', () => {
  test('a node that beats is there by its boot, for as long as the beat lasts', async () => {
    const a = node('a');
    await directory.beat(a, 8_000);
    expect(await directory.boots('a', 'b')).toEqual([a.boot_id, null]);
    const left = await redis.pttl('node:a');
    expect(left).toBeGreaterThan(7_000);
    expect(left).toBeLessThanOrEqual(8_000);
    await directory.beat(a, 1);
    await until('the beat to wear off', async () => (await directory.boots('a'))[0] === null);
  });

  test('a later start of the same node replaces the earlier one', async () => {
    const [before, after] = [node('a'), node('a')];
    await directory.beat(before, 8_000);
    await directory.beat(after, 8_000);
    expect(await directory.boots('a')).toEqual([after.boot_id]);
  });

  test('a node that leaves is gone, unless another start of it beats by now', async () => {
    const [before, after] = [node('a'), node('a')];
    await directory.beat(before, 8_000);
    await directory.leave(before);
    expect(await directory.boots('a')).toEqual([null]);
    await directory.beat(after, 8_000);
    await directory.leave(before);
    expect(await directory.boots('a')).toEqual([after.boot_id]);
  });

  test('who listens on its own channel is counted, by start', async () => {
    const [before, after] = [node('a'), node('a')];
    const subscriber = connectRedis(server.url, { name: 'listener', kind: 'standing', log: quietLog });
    await subscriber.subscribe(nodeChannel(after));
    expect([await directory.listening(before), await directory.listening(after)]).toEqual([0, 1]);
    subscriber.disconnect();
    await until('the listener to be gone', async () => (await directory.listening(after)) === 0);
  });

  test('a start of a node shows itself while it beats or listens', async () => {
    const [before, after] = [node('a'), node('a')];
    expect(await directory.shows(after)).toBe(false);
    await directory.beat(after, 8_000);
    expect([await directory.shows(before), await directory.shows(after)]).toEqual([false, true]);
    await directory.leave(after);
    const subscriber = connectRedis(server.url, { name: 'listener', kind: 'standing', log: quietLog });
    await subscriber.subscribe(nodeChannel(after));
    expect([await directory.shows(before), await directory.shows(after)]).toEqual([false, true]);
    subscriber.disconnect();
    await until('the listener to be gone', async () => !(await directory.shows(after)));
  });
});

describe('entries', () => {
  test('a document that nobody entered is absent', async () => {
    expect(await directory.read(random.id())).toEqual({ entry: null, text: '' });
  });

  test('an entry is replaced by whoever saw what stands there, and by nobody else', async () => {
    const doc_id = random.id();
    const [mine, theirs] = [owned(node('a'), 1), owned(node('b'), 2)];
    const first = await directory.replace(doc_id, '', mine);
    expect(first).toEqual({ won: true, entry: mine, text: entryText(mine) });
    const lost = await directory.replace(doc_id, '', theirs);
    expect(lost).toEqual({ won: false, entry: mine, text: entryText(mine) });
    expect(await directory.replace(doc_id, lost.text, theirs)).toMatchObject({ won: true, entry: theirs });
    expect(await directory.replace(doc_id, first.text, null)).toMatchObject({ won: false, entry: theirs });
    expect(await directory.read(doc_id)).toEqual({ entry: theirs, text: entryText(theirs) });
  });

  test('an entry is removed by whoever saw it', async () => {
    const doc_id = random.id();
    const { text } = await directory.replace(doc_id, '', owned(node('a'), 1));
    expect(await directory.replace(doc_id, text, null)).toEqual({ won: true, entry: null, text: '' });
    expect(await redis.exists(`actor:${doc_id}`)).toBe(0);
  });

  test('of many that race for an absent entry exactly one wins', async () => {
    const doc_id = random.id();
    const rivals = Array.from({ length: 16 }, (_, n) => owned(node(`n${n}`), n));
    const outcomes = await Promise.all(rivals.map((rival) => directory.replace(doc_id, '', rival)));
    const winners = outcomes.filter((outcome) => outcome.won);
    expect(winners).toHaveLength(1);
    expect(new Set(outcomes.map((outcome) => outcome.text))).toEqual(new Set([winners[0]?.text ?? '']));
  });

  test('an entry that nobody gave up vanishes by itself, in the end', async () => {
    const doc_id = random.id();
    await directory.replace(doc_id, '', owned(node('a'), 1));
    const left = await redis.ttl(`actor:${doc_id}`);
    expect(left).toBeGreaterThan(3_600);
    expect(left).toBeLessThanOrEqual(86_400);
  });

  test('what somebody else wrote there counts as absent and can be replaced', async () => {
    const doc_id = random.id();
    await redis.set(`actor:${doc_id}`, 'not ours');
    const seen = await directory.read(doc_id);
    expect(seen).toEqual({ entry: null, text: 'not ours' });
    expect(await directory.replace(doc_id, seen.text, owned(node('a'), 1))).toMatchObject({ won: true });
  });
});

/** How many scripts Redis has run. */
const evaluated = async (): Promise<number> =>
  Number(/cmdstat_eval:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0);

/** Publishes a message; how many received it. */
function published(doc_id: string, heard: boolean): Promise<number | null> {
  return new Promise((resolve) => {
    new EventPublisher(channels, new ManualClock()).publish(doc_id, '{"v":1}', heard, resolve);
  });
}

describe('channels', () => {
  test('a message is counted by those who receive it, and subscribers are counted per document', async () => {
    const [heard, unheard] = [random.id(), random.id()];
    const subscriber = connectRedis(server.url, { name: 'listener', kind: 'standing', log: quietLog });
    const received = new Promise<string[]>((resolve) => {
      subscriber.on('message', (channel: string, message: string) => resolve([channel, message]));
    });
    await subscriber.subscribe(documentChannel(heard));
    expect(await channels.listeners([unheard, heard, unheard].map(documentChannel))).toEqual([0, 1, 0]);
    expect(await published(heard, true)).toBe(1);
    expect(await published(unheard, true)).toBe(0);
    expect(await received).toEqual([`collab:${heard}`, '{"v":1}']);
    subscriber.disconnect();
  });

  test('what nobody is known to hear waits a moment, and leaves before anything later of the same document', async () => {
    const doc_id = random.id();
    const subscriber = connectRedis(server.url, { name: 'listener', kind: 'standing', log: quietLog });
    const messages: string[] = [];
    subscriber.on('message', (_channel: string, message: string) => messages.push(message));
    await subscriber.subscribe(documentChannel(doc_id));
    const clock = new ManualClock();
    const publisher = new EventPublisher(channels, clock);
    const receivers: (number | null)[] = [];
    const done = (count: number | null) => receivers.push(count);
    publisher.publish(doc_id, 'first', false, done);
    publisher.publish(doc_id, 'second', true, done);
    await until('both', () => messages.length === 2);
    publisher.publish(doc_id, 'third', false, done);
    publisher.publish(doc_id, 'fourth', false, done);
    clock.advance(TIMES.publish_unheard_ms - 1);
    expect(await redis.ping()).toBe('PONG');
    expect(messages).toHaveLength(2);
    const scripts = await evaluated();
    clock.advance(1);
    await until('all', () => messages.length === 4);
    // In one command: two would cost more than the edits did.
    expect(await evaluated()).toBe(scripts + 1);
    expect(messages).toEqual(['first', 'second', 'third', 'fourth']);
    await until('the counts', () => receivers.length === 4);
    expect(receivers).toEqual([1, 1, 1, 1]);
    subscriber.disconnect();
  });
});

test('without Redis every question is refused at once, and answered again when it is back', async () => {
  await server.stop();
  const [a, doc_id] = [node('a'), random.id()];
  const asked = [
    directory.beat(a, 8_000),
    directory.leave(a),
    directory.boots('a'),
    directory.listening(a),
    directory.read(doc_id),
    directory.replace(doc_id, '', owned(a, 1)),
    channels.listeners([documentChannel(doc_id)]),
  ];
  expect(await published(doc_id, true)).toBeNull();
  expect((await Promise.allSettled(asked)).map(({ status }) => status)).toEqual(asked.map(() => 'rejected'));
  await server.start();
  await until('Redis to answer', async () => (await directory.read(doc_id)).text === '');
});
