/** What heals when signals are lost: here they were never sent, since PostgreSQL was changed behind the server's back. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { Redis } from 'ioredis';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { JsonClient, YjsClient } from '../../test/support/sockets.ts';
import { until } from '../../test/support/until.ts';
import type { Signal } from '../actors/gateway.ts';
import { ManualClock } from '../base/clock.ts';
import { createLog } from '../base/log.ts';
import { CLOSE } from '../protocol/close.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';
import type { Database } from '../store/postgres.ts';
import { type RightsHolder, RightsWatch } from './rights.ts';

let server: TestServer;
let sql: Database;
let [ada, bob] = [{} as TestUser, {} as TestUser];
/** Ada's, with Bob as editor; made anew for each test. */
let doc_id = '';

beforeAll(async () => {
  server = await openTestServer();
  sql = server.sql;
  [ada, bob] = await Promise.all([server.register('ada'), server.register('bob')]);
});
afterAll(async () => {
  expect(server.errors()).toEqual([]);
  await server.stop();
});
beforeEach(async () => {
  doc_id = await server.createDocument(ada, 'text');
  await server.share(ada, doc_id, bob, 'editor');
});

const sessionOf = ({ token }: TestUser): string => JSON.parse(atob(token.split('.')[1] ?? '')).sid;
const setRole = (role: string) =>
  sql`UPDATE document_permissions SET role = ${role} WHERE document_id = ${doc_id} AND user_id = ${bob.user_id}`;

/** What may be lost, and how the sockets of whom it concerns end. */
const LOSSES: readonly [string, () => Promise<unknown>, number][] = [
  [
    'a role that was taken away',
    () => sql`DELETE FROM document_permissions WHERE document_id = ${doc_id} AND user_id = ${bob.user_id}`,
    CLOSE.FORBIDDEN,
  ],
  [
    'the end of a session',
    () => sql`UPDATE sessions SET revoked_at = now() WHERE id = ${sessionOf(bob)}`,
    CLOSE.UNAUTHENTICATED,
  ],
  [
    'the deletion of a document',
    () => sql`UPDATE documents SET deleted = true, deleted_at = now() WHERE id = ${doc_id}`,
    CLOSE.NOT_FOUND,
  ],
];

describe.each(LOSSES)('%s, with its signal lost', (_what, change, code) => {
  test(`C16: reaches both doors within rights_check_ms (${TIMES.rights_check_ms})`, async () => {
    bob = await server.signIn(bob);
    const clients = [await JsonClient.join(server, doc_id, bob), await YjsClient.join(server, doc_id, bob)];
    await change();
    await server.later(TIMES.rights_check_ms);
    for (const client of clients) expect((await client.closed).code).toBe(code);
  });

  test('C16: reaches both doors as soon as the subscription is there again after it broke', async () => {
    bob = await server.signIn(bob);
    const clients = [await JsonClient.join(server, doc_id, bob), await YjsClient.join(server, doc_id, bob)];
    await change();
    await cutSubscriptions();
    for (const client of clients) expect((await client.closed).code).toBe(code);
  });
});

test('a change of role whose signal was lost is told like any other, and judged by', async () => {
  const [json, yjs, owner] = [
    await JsonClient.join(server, doc_id, bob),
    await YjsClient.join(server, doc_id, bob),
    await JsonClient.join(server, doc_id, ada),
  ];
  await setRole('viewer');
  await server.later(TIMES.rights_check_ms);
  expect(await json.take('role')).toMatchObject({ role: 'viewer' });
  yjs.write((text) => text.insert(0, 'a'));
  await yjs.take('denied');
  await setRole('editor');
  await server.later(TIMES.rights_check_ms);
  expect(await json.take('role')).toMatchObject({ role: 'editor' });
  // Whose role stays the same hears nothing.
  expect(owner.of('role')).toEqual([]);
  await Promise.all([json.leave(), yjs.leave(), owner.leave()]);
});

/** Breaks the connections that subscribe, as a network would; they come back by themselves. */
async function cutSubscriptions(): Promise<void> {
  const redis = new Redis(server.redis_url);
  await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
  redis.disconnect();
}

describe('the watch', () => {
  const log = createLog({ level: 'silent', service: 'test', node_id: 'test' });
  const SESSION = '0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10';
  let clock: ManualClock;
  let acts: Signal[];
  let holders: RightsHolder[];
  let asked: number;
  let away: boolean;
  let watch: RightsWatch;

  beforeEach(() => {
    clock = new ManualClock();
    [acts, holders, asked, away] = [[], [], 0, false];
    const counting = new Proxy(sql, {
      apply(target, self, args) {
        asked += 1;
        return Reflect.apply(target as unknown as (...args: unknown[]) => unknown, self, args);
      },
    });
    watch = new RightsWatch({
      clock,
      log,
      sql: counting,
      away: () => away,
      holders: () => holders,
      act: (signal) => void acts.push(signal),
    });
  });

  const bobs = (): RightsHolder => ({
    doc_id,
    caller: { user_id: bob.user_id, session_id: sessionOf(bob), role: 'user', expires_at: 0 },
    close: () => {},
  });

  test('C16: reads every ten seconds, and every second while signals cannot arrive', async () => {
    holders = [bobs()];
    clock.advance(TIMES.rights_check_ms - 1);
    expect(asked).toBe(0);
    clock.advance(1);
    expect(asked).toBe(1);
    await watch.look();
    const before = asked;
    away = true;
    clock.advance(TIMES.rights_check_away_ms);
    expect(asked).toBe(before + 1);
    await watch.look();
    watch.stop();
    clock.advance(10 * TIMES.rights_check_ms);
    expect(asked).toBeLessThanOrEqual(before + 2);
  });

  test(`reads rights_rows_max (${LIMITS.rights_rows_max}) connections with one statement, and one more with two`, async () => {
    holders = Array.from({ length: LIMITS.rights_rows_max }, bobs);
    await watch.look();
    expect(asked).toBe(1);
    holders.push(bobs());
    await watch.look();
    expect(asked).toBe(3);
    // Nobody is there, or nobody is known yet: nothing to ask.
    holders = [{ ...bobs(), caller: null }];
    await watch.look();
    expect(asked).toBe(3);
  });

  test('passes a role on once, for as long as nothing else was said of it', async () => {
    holders = [bobs(), bobs()];
    const role: Signal = { type: 'role', doc_id, user_id: bob.user_id, role: 'editor' };
    await watch.look();
    await watch.look();
    expect(acts).toEqual([role]);
    // Signals of two nodes may overtake each other; the database has the last word.
    watch.heard({ ...role, role: 'viewer' });
    await watch.look();
    expect(acts).toEqual([role, role]);
  });

  test('leaves a role alone that was told of while it was being read', async () => {
    holders = [bobs()];
    let pass = Promise.resolve();
    await sql.begin(async (lock) => {
      await lock`LOCK TABLE document_permissions IN ACCESS EXCLUSIVE MODE`;
      pass = watch.look();
      await until('the statement to wait', async () => {
        const waiting = await lock`
          SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'document_permissions'::regclass`;
        return waiting.length > 0;
      });
      watch.heard({ type: 'role', doc_id, user_id: bob.user_id, role: 'viewer' });
    });
    await pass;
    expect(acts).toEqual([]);
    await watch.look();
    expect(acts).toHaveLength(1);
  });

  test('takes a session or a document that is not there for one that ended', async () => {
    const closed: number[] = [];
    const close = (code: number) => void closed.push(code);
    const unknown = { user_id: bob.user_id, session_id: SESSION, role: 'user', expires_at: 0 } as const;
    holders = [
      { doc_id, caller: unknown, close },
      { ...bobs(), doc_id: SESSION, close },
    ];
    await watch.look();
    expect(acts).toEqual([{ type: 'session_ended', session_id: SESSION }]);
    expect(closed).toEqual([CLOSE.NOT_FOUND]);
  });

  test('goes on after a database that was away', async () => {
    holders = [{ ...bobs(), doc_id: 'no uuid' }];
    await watch.look();
    holders = [bobs()];
    await watch.look();
    expect(acts).toHaveLength(1);
  });
});
