/** What sockets may ask of a node: docs/PROTOCOL.md, C20 to C24. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { RawHocuspocus, syncFrame } from '../../test/support/hocuspocus.ts';
import { LimitWorld, type SmallLimits, smallSettings } from '../../test/support/rate-limits.ts';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { JsonClient, YjsClient } from '../../test/support/sockets.ts';
import { until } from '../../test/support/until.ts';
import { ManualClock } from '../base/clock.ts';
import { CLOSE } from '../protocol/close.ts';
import { SYNC } from '../protocol/yjs-wire.ts';
import { type SocketLimits as Limits, SocketLimits, type Verdict, type Visit } from './socket-limits.ts';

describe('buckets', () => {
  let world: LimitWorld;
  let clock: ManualClock;
  let limits: Limits;
  beforeAll(async () => {
    world = await LimitWorld.start();
  });
  afterAll(() => world.close());
  afterEach(() => limits.stop());

  function limitsWith(small: SmallLimits, sockets_unauthenticated_max = 1_000): Limits {
    clock = new ManualClock();
    limits = new SocketLimits(world.limits(smallSettings(small, { sockets_unauthenticated_max }), clock), clock);
    return limits;
  }

  const signedIn = (user_id: string): Visit => {
    const visit = limits.arrive('192.0.2.1');
    visit.known(user_id);
    return visit;
  };
  const send = (visit: Visit, times: number, length = 1): Verdict[] =>
    Array.from({ length: times }, () => visit.arrived(length));
  const taken = (verdicts: readonly Verdict[]): number => verdicts.filter((verdict) => verdict === 'take').length;

  test('a socket may send N messages at once and N in a window, evenly refilled; not one more', () => {
    limitsWith({ socket_messages: 60 });
    const visit = signedIn('ada');
    expect(taken(send(visit, 61))).toBe(60);
    clock.advance(980);
    expect(taken(send(visit, 1))).toBe(0);
    clock.advance(20);
    expect(taken(send(visit, 2))).toBe(1);
    clock.advance(3_600_000);
    expect(taken(send(visit, 61))).toBe(60);
    expect(taken(send(signedIn('ada'), 61))).toBe(60);
  });

  test('the same of bytes; a frame that does not fit costs nothing', () => {
    limitsWith({ socket_bytes: 1_000 });
    const visit = signedIn('ada');
    expect(send(visit, 1, 1_001)).toEqual(['refuse']);
    expect(send(visit, 1, 600)).toEqual(['take']);
    expect(send(visit, 1, 401)).toEqual(['refuse']);
    expect(send(visit, 2, 200)).toEqual(['take', 'take']);
    expect(send(visit, 1, 1)).toEqual(['refuse']);
  });

  test('a user has one bucket for all sockets, also for those that come after the others have gone', () => {
    limitsWith({ user_messages: 10, user_bytes: 1_000 });
    const [one, two] = [signedIn('ada'), signedIn('ada')];
    expect(taken([...send(one, 6), ...send(two, 6)])).toBe(10);
    one.leave();
    two.leave();
    clock.advance(10_000);
    expect(taken(send(signedIn('ada'), 10))).toBe(1);
    expect(taken(send(signedIn('bob'), 2, 500))).toBe(2);
    expect(taken(send(signedIn('bob'), 1, 500))).toBe(0);
  });

  test('N frames are refused one by one, then the socket has to go', () => {
    limitsWith({ socket_messages: 1, socket_refusals: 2 });
    expect(send(signedIn('ada'), 4)).toEqual(['take', 'refuse', 'refuse', 'close']);
  });

  test('of an address N sockets may come that show no good token, not N + 1; those that do are given back', () => {
    limitsWith({ socket_openings: 2 });
    for (let i = 0; i < 10; i++) expect(signedIn('ada').admitted).toBe(true);
    const strangers = Array.from({ length: 3 }, () => {
      const visit = limits.arrive('192.0.2.1');
      visit.leave();
      return visit.admitted;
    });
    expect(strangers).toEqual([true, true, false]);
    expect(limits.arrive('192.0.2.2').admitted).toBe(true);
    clock.advance(30_000);
    expect([limits.arrive('192.0.2.1').admitted, limits.arrive('192.0.2.1').admitted]).toEqual([true, false]);
  });

  test('N sockets of an address may be unauthenticated at a time, not N + 1', () => {
    limitsWith({}, 2);
    const [one, two, three] = [limits.arrive('a'), limits.arrive('a'), limits.arrive('a')];
    expect([one.admitted, two.admitted, three.admitted]).toEqual([true, true, false]);
    three.leave();
    expect(limits.arrive('b').admitted).toBe(true);
    one.known('ada');
    one.known('ada');
    expect(limits.arrive('a').admitted).toBe(true);
    expect(limits.arrive('a').admitted).toBe(false);
  });

  test('who is gone and has used nothing up is forgotten', () => {
    limitsWith({ user_messages: 60, socket_openings: 60 });
    const stays = signedIn('ada');
    const goes = signedIn('bob');
    send(goes, 30);
    goes.leave();
    limits.arrive('192.0.2.2').leave();
    clock.advance(10_000);
    expect(limits.size).toEqual({ users: 2, addresses: 0 });
    clock.advance(20_000);
    expect(limits.size).toEqual({ users: 1, addresses: 0 });
    stays.leave();
    clock.advance(10_000);
    expect(limits.size).toEqual({ users: 0, addresses: 0 });
  });
});

describe('on the wire', () => {
  let server: TestServer;
  let ada: TestUser;
  let bob: TestUser;
  let doc_id: string;

  beforeAll(async () => {
    server = await openTestServer({
      RATE_LIMITS: 'on',
      RATE_LIMIT_SOCKET_MESSAGES: '10/10',
      RATE_LIMIT_SOCKET_REFUSALS: '3/10',
      RATE_LIMIT_SOCKET_OPENINGS: '4/20',
      RATE_LIMIT_JOINS: '30/60',
    });
    [ada, bob] = await Promise.all([server.register('ada'), server.register('bob')]);
    doc_id = await server.createDocument(ada, 'text');
    await server.share(ada, doc_id, bob, 'editor');
  });
  afterAll(async () => {
    await server.stop();
    expect(server.errors()).toEqual([]);
  });

  const ping = '{"type":"ping"}';

  test('C20: a JSON message over the limit is answered with RATE_LIMITED and its seq, is not applied, and may be sent again', async () => {
    const client = await JsonClient.join(server, doc_id, ada);
    for (let i = 0; i < 10; i++) client.sendRaw(ping);
    const seq = client.sendEdit([{ insert: 'late ' }]);
    expect(await client.take('error')).toMatchObject({ code: 'RATE_LIMITED', seq });
    client.sendRaw(ping);
    expect(await client.take('error')).not.toHaveProperty('seq');
    expect(client.of('pong')).toHaveLength(10);
    await server.later(1_000);
    client.sendEdit([{ insert: 'late ' }], client.rev, seq);
    await client.take('edit', (event) => event.seq === seq);
    expect(await server.text(ada, doc_id)).toStartWith('late ');
    await client.leave();
  });

  test('C20: one that goes on is told once more and closed with 1013', async () => {
    const client = await JsonClient.join(server, doc_id, ada);
    for (let i = 0; i < 20; i++) client.sendRaw(ping);
    expect((await client.closed).code).toBe(CLOSE.OVERLOADED);
    expect(client.of('pong')).toHaveLength(10);
    expect(client.of('error').map(({ code }) => code)).toEqual(Array.from({ length: 4 }, () => 'RATE_LIMITED'));
  });

  test('C20: what cannot be read is over the limit all the same', async () => {
    const client = await JsonClient.join(server, doc_id, ada);
    for (let i = 0; i < 10; i++) client.sendRaw(ping);
    client.sendRaw('{');
    expect(await client.take('error')).toMatchObject({ code: 'RATE_LIMITED' });
    client.sendRaw(new Uint8Array([1]));
    expect((await client.closed).code).toBe(CLOSE.OVERLOADED);
  });

  test('C21: a Yjs socket over the limit is closed with 1013, and others on the document notice nothing', async () => {
    const innocent = await YjsClient.join(server, doc_id, bob);
    const client = await YjsClient.join(server, doc_id, ada);
    for (let i = 0; i < 12; i++) client.write((text) => text.insert(0, `${i}`));
    expect((await client.closed).code).toBe(CLOSE.OVERLOADED);
    innocent.write((text) => text.insert(0, 'still here '));
    await innocent.settled();
    await until('the edit', async () => (await server.text(bob, doc_id)).includes('still here '));
    await innocent.leave();
  });

  test('C21: a Hocuspocus socket over the limit is closed with 1013', async () => {
    const client = await RawHocuspocus.join(server, doc_id, ada);
    const ask = syncFrame(doc_id, Y.encodeStateVector(new Y.Doc()), SYNC.STEP1);
    for (let i = 0; i < 12; i++) client.send(ask);
    expect((await client.closed).code).toBe(CLOSE.OVERLOADED);
  });

  test('C22: of an address four sockets without a good token, not five; people who are signed in do not count', async () => {
    for (let i = 0; i < 6; i++) await (await JsonClient.join(server, doc_id, ada)).leave();
    const codes: number[] = [];
    for (let i = 0; i < 5; i++) {
      const client = JsonClient.open(server, doc_id, { token: i % 2 === 0 ? 'not a token' : null });
      codes.push((await client.closed).code);
      if (i === 4) expect(client.of('error')[0]).toMatchObject({ code: 'RATE_LIMITED' });
    }
    const { UNAUTHENTICATED, OVERLOADED } = CLOSE;
    expect(codes).toEqual([UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED, UNAUTHENTICATED, OVERLOADED]);
    const yjs = YjsClient.open(server, doc_id, { token: null });
    expect((await yjs.closed).code).toBe(OVERLOADED);
    expect((await new RawHocuspocus(server).closed).code).toBe(OVERLOADED);
    await server.later(6_000);
    await (await JsonClient.join(server, doc_id, ada)).leave();
  });

  test('C23: a user may open thirty documents a minute, not thirty-one; others are not concerned', async () => {
    const eve = await server.register('eve');
    const own = await server.createDocument(eve);
    await server.share(eve, own, bob, 'viewer');
    const clients: JsonClient[] = [];
    for (let i = 0; i < 30; i++) clients.push(await JsonClient.join(server, own, eve));
    const refused = JsonClient.open(server, own, eve);
    expect((await refused.closed).code).toBe(CLOSE.OVERLOADED);
    expect(refused.of('error')[0]).toMatchObject({ code: 'RATE_LIMITED' });
    await (await JsonClient.join(server, own, bob)).leave();
    await Promise.all(clients.map((client) => client.leave()));
  });
});

test('C24: with RATE_LIMITS=off nothing is limited, counted or told', async () => {
  const server = await openTestServer({
    RATE_LIMITS: 'off',
    RATE_LIMIT_USER: '1/60',
    RATE_LIMIT_SIGN_IN_FAILURES: '1/60',
    RATE_LIMIT_SOCKET_MESSAGES: '1/60',
    RATE_LIMIT_JOINS: '1/60',
  });
  try {
    const ada = await server.register('ada');
    const doc_id = await server.createDocument(ada);
    for (let i = 0; i < 3; i++) {
      const client = await JsonClient.join(server, doc_id, ada);
      await client.settled();
      await client.leave();
      const wrong = { email: ada.email, password: 'wrong' };
      expect((await server.call('POST', '/v1/auth/login', undefined, wrong)).status).toBe(401);
    }
    const response = await fetch(`${server.url}/v1/users/me`, { headers: { authorization: `Bearer ${ada.token}` } });
    expect([...response.headers.keys()].filter((name) => name.startsWith('ratelimit'))).toEqual([]);
    const redis = new Bun.RedisClient(server.redis_url);
    expect(await redis.send('KEYS', ['rl:*'])).toEqual([]);
    redis.close();
  } finally {
    await server.stop();
  }
});
