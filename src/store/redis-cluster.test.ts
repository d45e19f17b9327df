/** Channels of a real Redis Cluster: src/store/redis-cluster.ts, shard-bus.ts, redis-side.ts. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { freePort } from '../../bin/lib/ports.ts';
import { quietLog, readableLog } from '../../test/support/core.ts';
import { startRedisCluster, type TestMaster, type TestRedisCluster } from '../../test/support/redis-cluster.ts';
import { until } from '../../test/support/until.ts';
import { type Clock, ManualClock, systemClock } from '../base/clock.ts';
import { TIMES } from '../protocol/limits.ts';
import type { Bus } from './bus.ts';
import { slotOf } from './redis-cluster.ts';
import { openRedis, type RedisSide } from './redis-side.ts';

let cluster: TestRedisCluster;
let side: RedisSide;
const logged = readableLog();

beforeAll(async () => {
  cluster = await startRedisCluster();
  side = openRedis({ redis_url: cluster.url, redis_cluster: true }, { name: 'test', log: logged.log });
  await side.ready();
});
afterAll(async () => {
  side.close();
  await cluster.stop();
});

/** A channel of this master, as the slots were dealt out. */
function channelOf(master: number, name: string): string {
  for (let i = 0; ; i++) if (Math.floor(slotOf(`${name}-${i}`) / 5_461.34) === master) return `${name}-${i}`;
}

/** A bus, what it heard, and how often it was told that something may have been missed. */
function listening(clock: Clock = systemClock): { bus: Bus; heard: string[]; told: () => number } {
  const bus = side.openBus(clock, quietLog);
  const heard: string[] = [];
  let told = 0;
  bus.listen({
    message: (channel, message) => void heard.push(`${channel}: ${Buffer.from(message)}`),
    connected: () => {
      told += 1;
    },
  });
  return { bus, heard, told: () => told };
}

const send = (channel: string, message: string): Promise<boolean> => side.channels.send(channel, message);

/** Sends until it is heard: what is lost on the way there is not repeated by anybody. */
const heardAgain = (heard: string[], channel: string, message: string): Promise<unknown> =>
  until(`${message} to be heard`, async () => {
    await send(channel, message);
    return heard.includes(`${channel}: ${message}`);
  });

test('slots are those of the specification, braces and all', async () => {
  expect(slotOf('123456789')).toBe(0x31c3 % 16_384);
  for (const key of [
    '',
    'a',
    '{user1000}.following',
    'foo{}{bar}',
    'foo{{bar}}zap',
    'foo{bar}{zap}',
    'é{',
    '}{x}',
    '{€}',
  ])
    expect([key, slotOf(key)]).toEqual([key, await cluster.masters[0].client.cluster('KEYSLOT', key)]);
});

test('a cluster that was never reached refuses at once, and is waited for', async () => {
  const ports = await Promise.all([freePort(), freePort()]);
  const redis_url = ports.map((port) => `redis://127.0.0.1:${port}`).join(',');
  const away = openRedis({ redis_url, redis_cluster: true }, { name: 'away', log: quietLog });
  const began = systemClock.monotonic();
  const refused = await Promise.allSettled([
    away.commands.get('a'),
    away.channels.listening('a'),
    away.channels.listeners(['a']),
    away.answers(),
  ]);
  expect(refused.map(({ status }) => status)).toEqual(refused.map(() => 'rejected'));
  expect(await away.channels.sendAll([{ channel: 'a', message: 'x' }])).toEqual([null]);
  expect(await away.channels.send('a', 'x')).toBe(false);
  expect(systemClock.monotonic() - began).toBeLessThan(200);
  const bus = away.openBus(systemClock, quietLog);
  const subscribed = bus.subscribe('a').catch(String);
  bus.close();
  expect(await subscribed).toContain('the bus is closed');
  const ready = away.ready();
  away.close();
  expect(await ready.catch(String)).toContain('closed before it was ready');
});

describe('channels', () => {
  test('messages of each channel arrive in order, those of one master and of many', async () => {
    const { bus, heard } = listening();
    expect(bus.away).toBe(true);
    const channels = [0, 1, 2, 2].map((master, i) => channelOf(master, `order${i}`));
    await Promise.all(channels.map((channel) => bus.subscribe(channel)));
    await bus.subscribe(channels[0] ?? '');
    expect(bus.away).toBe(false);
    expect(await side.channels.listeners([...channels, 'nobody'])).toEqual([1, 1, 1, 1, 0]);
    const counts: (number | null)[] = [];
    for (let i = 0; i < 200; i++) {
      const batch = channels.map((channel) => ({ channel, message: String(i) }));
      void side.channels.sendAll(batch).then((got) => counts.push(...got));
      if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await until('all of them', () => heard.length === 800 && counts.length === 800);
    for (const channel of channels)
      expect(heard.filter((line) => line.startsWith(`${channel}:`))).toEqual(
        Array.from({ length: 200 }, (_, i) => `${channel}: ${i}`),
      );
    expect(new Set(counts)).toEqual(new Set([1]));
    bus.close();
  });

  test('what is not wanted any more is not heard any more', async () => {
    const { bus, heard } = listening();
    const [kept, left] = [channelOf(1, 'kept'), channelOf(1, 'left')];
    await Promise.all([bus.subscribe(kept), bus.subscribe(left)]);
    bus.unsubscribe(left);
    bus.unsubscribe('never wanted');
    await until('it to be left', async () => (await side.channels.listeners([left]))[0] === 0);
    await Promise.all([send(left, 'x'), send(kept, 'y')]);
    await until('the other', () => heard.length > 0);
    expect(heard).toEqual([`${kept}: y`]);
    const hasty = bus.subscribe(left);
    bus.unsubscribe(left);
    await hasty;
    await until('it to be left again', async () => (await side.channels.listeners([left]))[0] === 0);
    bus.close();
    const late = bus.subscribe(channelOf(0, 'late'));
    bus.close();
    expect(late).rejects.toThrow('the bus is closed');
    await late.catch(() => {});
  });
});

describe('a channel finds its place again, and everybody is told that something may have been missed', () => {
  test('when its connection breaks, or is found deaf', async () => {
    const { bus, heard, told } = listening();
    const channel = channelOf(2, 'broken');
    await bus.subscribe(channel);
    const before = told();
    expect(before).toBe(1);
    await cluster.masters[2].client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await until('it to be told', () => told() > before);
    await heardAgain(heard, channel, 'after the kill');
    bus.reconnect();
    await until('it to be told again', () => told() > before + 1);
    await heardAgain(heard, channel, 'after the new connection');
    expect(bus.away).toBe(false);
    bus.close();
  });

  test('when its server says nothing any more, over a line that seems to be open', async () => {
    const clock = new ManualClock();
    const { bus, heard, told } = listening(clock);
    const channel = channelOf(2, 'hanging');
    await bus.subscribe(channel);
    const before = told();
    cluster.masters[2].pause();
    for (let beat = 0; beat < 3; beat++) clock.advance(TIMES.node_beat_ms);
    await until('the line to be given up', () => bus.away);
    cluster.masters[2].resume();
    await cluster.whole();
    await until('it to be told', () => told() > before);
    await heardAgain(heard, channel, 'after the silence');
    bus.close();
  });

  test('when its slot goes to another master, and nothing arrives twice', async () => {
    const { bus, heard, told } = listening();
    const channel = channelOf(0, 'moving');
    const stays = channelOf(0, 'staying');
    await Promise.all([bus.subscribe(channel), bus.subscribe(stays)]);
    const before = told();
    await moveSlot(slotOf(channel), cluster.masters[0], cluster.masters[1]);
    await until('it to be told', () => told() > before);
    await heardAgain(heard, channel, 'there');
    await heardAgain(heard, stays, 'here');
    for (let i = 0; i < 20; i++) expect(await side.channels.sendAll([{ channel, message: String(i) }])).toEqual([1]);
    const numbered = (): string[] => heard.filter((line) => line.startsWith(channel) && /\d$/.test(line));
    await until('all', () => numbered().length >= 20);
    expect(numbered()).toEqual(Array.from({ length: 20 }, (_, i) => `${channel}: ${i}`));
    expect(await side.commands.get(channel)).toBeNull();
    // Nobody has told us yet where this one went.
    const fresh = channelOf(0, 'fresh');
    await moveSlot(slotOf(fresh), cluster.masters[0], cluster.masters[1]);
    await bus.subscribe(fresh);
    await heardAgain(heard, fresh, 'found');
    bus.unsubscribe(fresh);
    await moveSlot(slotOf(fresh), cluster.masters[1], cluster.masters[0]);
    await moveSlot(slotOf(channel), cluster.masters[1], cluster.masters[0]);
    await heardAgain(heard, channel, 'back');
    await until('the line to where nothing is left to close', async () => !(await listensTo(cluster.masters[1])));
    expect(await listensTo(cluster.masters[0])).toBe(true);
    bus.close();
  });

  test('when its master was killed and comes back; meanwhile others work, and it is said', async () => {
    const { bus, heard, told } = listening();
    const [gone, other] = [channelOf(1, 'gone'), channelOf(2, 'other')];
    await Promise.all([bus.subscribe(gone), bus.subscribe(other)]);
    await side.answers();
    await cluster.masters[1].kill9();
    await until('it to be known', () => bus.away);
    const began = systemClock.monotonic();
    expect(await side.channels.sendAll([{ channel: gone, message: 'lost' }])).toEqual([null]);
    expect(await side.commands.get(gone).catch(() => 'refused')).toBe('refused');
    expect(systemClock.monotonic() - began).toBeLessThan(1_500);
    expect(await side.answers().catch(String)).toContain('Error');
    expect(await side.channels.listeners([gone, other])).toEqual([0, 1]);
    await heardAgain(heard, other, 'still here');
    const before = told();
    await cluster.masters[1].start();
    await cluster.whole();
    await until('it to be told', () => told() > before);
    await heardAgain(heard, gone, 'back');
    await until('everything to answer', () => side.answers().then(() => true));
    expect(bus.away).toBe(false);
    const said = logged.lines().map(({ msg, message, server }) => `${msg ?? message} ${server}`);
    const { port } = cluster.masters[1];
    for (const text of ['Redis is away; trying again until it is back', 'Redis is back'])
      expect(said).toContain(`${text} 127.0.0.1:${port}`);
    bus.close();
  });
});

test('a replica that takes over for a master that hangs has its channels, in order, and takes messages and commands', async () => {
  const replica = await cluster.addReplica(0);
  const { bus, heard, told } = listening(new ManualClock());
  const channel = channelOf(0, 'inherited');
  await bus.subscribe(channel);
  await heardAgain(heard, channel, 'before');
  const before = told();
  // It hangs, and its connections stay open: only the map of slots tells.
  cluster.masters[0].pause();
  await until('the replica to be in its place', async () =>
    /^role:master/m.test(await replica.client.info('replication')),
  );
  await until('it to be told', () => told() > before);
  await heardAgain(heard, channel, 'after');
  expect([await side.channels.listening(channel), ...(await side.channels.listeners([channel]))]).toEqual([1, 1]);
  await until('it to take commands', async () => (await side.commands.set(channel, 'x')) === 'OK');
  await until('everything to answer', () => side.answers().then(() => true));
  bus.close();
});

/** Whether a bus of this file has a line to a server. */
async function listensTo({ client }: TestMaster): Promise<boolean> {
  return String(await client.client('LIST')).includes('name=test:listen');
}

/** Hands an empty slot over, as an operator would. */
async function moveSlot(slot: number, from: TestMaster, to: TestMaster): Promise<void> {
  const [from_id, to_id] = await Promise.all([from, to].map(({ client }) => client.cluster('MYID')));
  await to.client.cluster('SETSLOT', slot, 'IMPORTING', from_id as string);
  await from.client.cluster('SETSLOT', slot, 'MIGRATING', to_id as string);
  for (const { client } of [to, from]) await client.cluster('SETSLOT', slot, 'NODE', to_id as string);
}
