import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test';
import { quietLog } from '../../test/support/core.ts';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { addPerson } from '../../test/support/people.ts';
import { ManualClock, systemClock } from '../base/clock.ts';
import { systemRandom } from '../base/random.ts';
import { moveEvent } from '../store/audit.ts';
import { recordEvent } from '../store/outbox.ts';
import { keepRetention } from './retention.ts';

const DAY_MS = 86_400_000;
/** Partitions are judged by the database's own clock, so this one starts at the real time. */
const clock = new ManualClock(systemClock.now());

let db: TestDatabase;
let user_id: string;
beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db.drop());
beforeEach(async () => {
  user_id = await addPerson(db.sql, systemRandom.id());
});

const keep = (audit_retention_days = 400) =>
  keepRetention({ sql: db.sql, clock, log: quietLog, audit_retention_days, refresh_token_ttl_s: 10 * 86_400 });
const ago = (days: number) => new Date(clock.now() - days * DAY_MS);

/** An event of so many days ago, in the log. */
async function logged(
  days: number,
  more: { actor_id?: string | null; target_id?: string | null } = {},
): Promise<string> {
  const id = systemRandom.id();
  const event = { action: 'user.login', actor_id: user_id, target_id: null, document_id: null, ...more } as const;
  await recordEvent(db.sql, { id, at: ago(days), ...event, ip: '192.0.2.1', request_id: 'r', details: {} });
  expect(await moveEvent(db.sql, id)).toBe(true);
  return id;
}
const found = async (...ids: string[]) =>
  (await db.sql<{ id: string }[]>`SELECT id FROM audit_log WHERE id = ANY(${ids}::uuid[])`).map(({ id }) => id);

async function session(expires_at: Date, revoked_at: Date | null = null): Promise<string> {
  const id = systemRandom.id();
  await db.sql`INSERT INTO sessions (id, user_id, expires_at, revoked_at) VALUES (${id}, ${user_id}, ${expires_at}, ${revoked_at})`;
  return id;
}
async function token(session_id: string, used_at: Date | null): Promise<void> {
  await db.sql`INSERT INTO refresh_tokens (token_hash, session_id, used_at) VALUES (${systemRandom.bytes(32)}, ${session_id}, ${used_at})`;
}

test('the partitions of this month and the next are there ahead', async () => {
  await keep();
  const parts = await db.sql<{ part: string }[]>`
    SELECT inhrelid::regclass::text AS part FROM pg_inherits WHERE inhparent = 'audit_log'::regclass`;
  for (const at of [clock.now(), clock.now() + 28 * DAY_MS]) {
    const month = new Date(at).toISOString().slice(0, 7).replace('-', '_');
    expect(parts.map(({ part }) => part)).toContain(`audit_log_${month}`);
  }
});

test('a month of the audit log goes whole once its last day is past its time, and no sooner', async () => {
  const [expired, young, now] = [await logged(120), await logged(80), await logged(0)];
  await keep(400);
  expect(await found(expired, young, now)).toHaveLength(3);
  await keep(85);
  expect(await found(expired, young, now)).toEqual(expect.not.arrayContaining([expired]));
  expect(await found(young, now)).toHaveLength(2);
});

test('less than 30 days is refused by the database itself', async () => {
  const id = await logged(70);
  await expect(keep(29)).rejects.toThrow('30 days');
  expect(await found(id)).toEqual([id]);
});

test('the addresses of an erased account go after 30 days, its ids stay; those of others stay too', async () => {
  const other_id = await addPerson(db.sql, systemRandom.id());
  const own = await logged(0);
  const failed = await logged(0, { actor_id: null, target_id: user_id });
  const others = await logged(0, { actor_id: other_id, target_id: user_id });
  const addresses = async () =>
    (await db.sql`SELECT id, ip FROM audit_log WHERE id IN (${own}, ${failed}, ${others}) AND ip IS NOT NULL`).map(
      ({ id }) => id as string,
    );
  const erase = (days: number) =>
    db.sql`UPDATE users SET deleted = true, email = NULL, email_key = NULL, updated_at = ${ago(days)} WHERE id = ${user_id}`;
  await erase(29);
  await keep();
  expect((await addresses()).toSorted()).toEqual([own, failed, others].toSorted());
  await erase(31);
  await keep();
  expect(await addresses()).toEqual([others]);
  expect(await db.sql`SELECT actor_id FROM audit_log WHERE id = ${own}`).toEqual([{ actor_id: user_id }] as never);
});

test('sessions go 30 days after their end with their tokens, used tokens when they would have ended', async () => {
  const [alive, expired, revoked, lately] = [
    await session(ago(-1)),
    await session(ago(31)),
    await session(ago(-1), ago(31)),
    await session(ago(29)),
  ];
  for (const id of [alive, expired, revoked, lately]) {
    await token(id, null);
    await token(id, ago(9));
    await token(id, ago(11));
  }
  await keep();
  const left = await db.sql`
    SELECT s.id, count(*)::int AS tokens FROM sessions s JOIN refresh_tokens t ON t.session_id = s.id
    WHERE s.user_id = ${user_id} GROUP BY s.id ORDER BY s.id`;
  expect([...left]).toEqual([alive, lately].toSorted().map((id) => ({ id, tokens: 2 })) as never);
});

test('used tokens are found by an index: most of the table is used and too young', async () => {
  const plan = await db.sql.begin(async (sql) => {
    await sql`SET LOCAL enable_seqscan = off`;
    return sql`EXPLAIN SELECT token_hash FROM refresh_tokens WHERE used_at < ${ago(10)} LIMIT 5000`;
  });
  expect(JSON.stringify(plan)).toContain('refresh_tokens_used');
});
