import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { createTestDatabase } from '../../test/support/database.ts';
import { createHttpWorld, emailOf, passwordOf, type World } from '../../test/support/http-world.ts';
import { startRedis } from '../../test/support/redis.ts';
import { isoTime } from '../base/clock.ts';
import type { SignedIn } from '../domain/accounts.ts';

let world: World;
const closing: (() => Promise<unknown>)[] = [];
let people = 0;
/** A name that no other test uses. */
let name = '';

beforeAll(async () => {
  const [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  world = await createHttpWorld({ database_url: database.url, redis_url: redis.url });
  closing.push(
    () => world.close(),
    () => redis.stop(),
    () => database.drop(),
  );
});
afterAll(async () => {
  for (const close of closing) await close();
});
beforeEach(() => {
  name = `person-${++people}`;
  world.signals.length = 0;
});

const signIn = (email: string, password: string) => world.call('POST', '/v1/auth/login', { body: { email, password } });
const me = (token: string) => world.call('GET', '/v1/users/me', { token });
const erase = (token: string, password: string) => world.call('DELETE', '/v1/users/me', { token, body: { password } });
const outcome = (answer: { status: number; body: { error?: { code: string } } }) => [
  answer.status,
  answer.body.error?.code,
];
const sessionOf = (person: SignedIn): string => JSON.parse(atob(person.access_token.split('.')[1] ?? '')).sid;

describe('one’s own account', () => {
  test('shows what one gave, and nothing secret', async () => {
    const { user, access_token: token } = await world.register(name);
    const { body } = await me(token);
    expect(body.data).toEqual(user);
    expect(Object.keys(body.data).sort()).toEqual(['created_at', 'display_name', 'email', 'id', 'role', 'updated_at']);
  });

  test('takes another name, and only that', async () => {
    const { user, access_token: token } = await world.register(name);
    world.clock.advance(5_000);
    const patch = (body: unknown) => world.call('PATCH', '/v1/users/me', { token, body });
    const { status, body } = await patch({ display_name: 'Grace' });
    expect(status).toBe(200);
    const updated_at = isoTime(Date.parse(user.updated_at) + 5_000);
    expect(body.data).toEqual({ ...user, display_name: 'Grace', updated_at });
    for (const bad of [{}, { display_name: ' ' }, { display_name: 'x', role: 'admin' }, { email: 'x@example.org' }])
      expect(outcome(await patch(bad))).toEqual([422, 'VALIDATION_ERROR']);
    expect((await me(token)).body.data.display_name).toBe('Grace');
  });

  test('is shown to others by its name alone', async () => {
    const { user } = await world.register(name);
    const { access_token: token } = await world.register(`${name}-other`);
    const { body } = await world.call('GET', `/v1/users/${user.id.toUpperCase()}`, { token });
    expect(body.data).toEqual({ id: user.id, display_name: name });
    const nobody = await world.call('GET', '/v1/users/0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10', { token });
    expect(outcome(nobody)).toEqual([404, 'NOT_FOUND']);
    expect(outcome(await world.call('GET', '/v1/users/you', { token }))).toEqual([422, 'VALIDATION_ERROR']);
    expect(outcome(await world.call('GET', `/v1/users/${user.id}`))).toEqual([401, 'UNAUTHENTICATED']);
  });
});

describe('a new password', () => {
  const change = (token: string, current_password: string, new_password: string) =>
    world.call('POST', '/v1/users/me/password', { token, body: { current_password, new_password } });

  test('replaces the old one and ends all other sessions', async () => {
    const person = await world.register(name);
    const other: SignedIn = (await signIn(emailOf(name), passwordOf(name))).body.data;
    const third: SignedIn = (await signIn(emailOf(name), passwordOf(name))).body.data;
    const answer = await change(person.access_token, passwordOf(name), 'a wholly new one');
    expect([answer.status, answer.body]).toEqual([200, { success: true, data: {} }]);
    expect((await me(person.access_token)).status).toBe(200);
    for (const ended of [other, third]) expect(outcome(await me(ended.access_token))).toEqual([401, 'TOKEN_REVOKED']);
    const told = world.signals.map((signal) => (signal.type === 'session_ended' ? signal.session_id : signal));
    expect(told.sort()).toEqual([sessionOf(other), sessionOf(third)].sort());
    expect(outcome(await signIn(emailOf(name), passwordOf(name)))).toEqual([401, 'INVALID_CREDENTIALS']);
    expect((await signIn(emailOf(name), 'a wholly new one')).status).toBe(200);
  });

  test('takes the old one, and a strong new one', async () => {
    const { access_token: token } = await world.register(name);
    expect(outcome(await change(token, 'not the password', 'a wholly new one'))).toEqual([401, 'INVALID_CREDENTIALS']);
    const weak = await change(token, passwordOf(name), 'short');
    expect(outcome(weak)).toEqual([422, 'WEAK_PASSWORD']);
    expect(weak.body.error.details[0].path).toBe('/new_password');
    expect(outcome(await change(token, passwordOf(name), `my ${emailOf(name)}`))).toEqual([422, 'WEAK_PASSWORD']);
    expect((await signIn(emailOf(name), passwordOf(name))).status).toBe(200);
  });

  test('set twice at the same moment is set once: the loser’s old password is no longer right', async () => {
    const { access_token: token } = await world.register(name);
    const answers = await Promise.all(
      ['the first new one', 'the second new one'].map((password) => change(token, passwordOf(name), password)),
    );
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 401]);
  });
});

describe('an erased account', () => {
  const insertDocument = async (title: string, roles: Readonly<Record<string, string>>, owner_id: string) => {
    const id = Bun.randomUUIDv7();
    await world.sql`INSERT INTO documents (id, title, owner_id) VALUES (${id}, ${title}, ${owner_id})`;
    for (const [user_id, role] of Object.entries(roles)) {
      const at = new Date(world.clock.now());
      world.clock.advance(1_000);
      await world.sql`
        INSERT INTO document_permissions (document_id, user_id, role, created_at)
        VALUES (${id}, ${user_id}, ${role}, ${at})`;
    }
    return id;
  };

  test('takes the password', async () => {
    const { access_token: token } = await world.register(name);
    expect(outcome(await erase(token, 'not the password'))).toEqual([401, 'INVALID_CREDENTIALS']);
    expect(outcome(await world.call('DELETE', '/v1/users/me', { token }))).toEqual([422, 'VALIDATION_ERROR']);
    expect((await me(token)).status).toBe(200);
  });

  test('leaves an id that is shown as "Deleted user", and nothing personal', async () => {
    const person = await world.register(name);
    const { access_token: token } = await world.register(`${name}-other`);
    expect((await erase(person.access_token, passwordOf(name))).body).toEqual({ success: true, data: {} });
    const { body } = await world.call('GET', `/v1/users/${person.user.id}`, { token });
    expect(body.data).toEqual({ id: person.user.id, display_name: 'Deleted user' });
    const users = await world.sql`SELECT * FROM users WHERE id = ${person.user.id}`;
    const sessions = await world.sql`SELECT * FROM sessions WHERE user_id = ${person.user.id}`;
    expect(users[0]).toMatchObject({ email: null, email_key: null, password_hash: null, deleted: true });
    expect(sessions[0]).toMatchObject({ ip: null, user_agent: null, revoked_at: expect.any(Date) });
    expect(JSON.stringify([users, sessions])).not.toContain(name);
  });

  test('is out at once, everywhere, and cannot come back', async () => {
    const person = await world.register(name);
    const other: SignedIn = (await signIn(emailOf(name), passwordOf(name))).body.data;
    await erase(person.access_token, passwordOf(name));
    for (const { access_token, refresh_token } of [person, other]) {
      expect(outcome(await me(access_token))).toEqual([401, 'TOKEN_REVOKED']);
      const answer = await world.call('POST', '/v1/auth/refresh', { body: { refresh_token } });
      expect(outcome(answer)).toEqual([401, 'TOKEN_REVOKED']);
    }
    expect(outcome(await signIn(emailOf(name), passwordOf(name)))).toEqual([401, 'INVALID_CREDENTIALS']);
    expect(world.signals.filter((signal) => signal.type === 'session_ended')).toHaveLength(2);
    expect((await world.register(name)).user.id).not.toBe(person.user.id);
  });

  test('takes its own documents along, passes shared ones on, and is off all others', async () => {
    const person = await world.register(name);
    const [ada, bob] = [await world.register(`${name}-ada`), await world.register(`${name}-bob`)];
    const [me, a, b] = [person.user.id, ada.user.id, bob.user.id];
    const alone = await insertDocument('alone', { [me]: 'owner', [a]: 'editor' }, me);
    const shared = await insertDocument('shared', { [me]: 'owner', [b]: 'owner', [a]: 'owner' }, me);
    const anothers = await insertDocument('another’s', { [a]: 'owner', [me]: 'owner' }, a);
    const edited = await insertDocument('edited', { [a]: 'owner', [me]: 'editor' }, a);
    await erase(person.access_token, passwordOf(name));

    const documents = await world.sql<{ id: string; owner_id: string; deleted: boolean; deleted_at: Date | null }[]>`
      SELECT id, owner_id, deleted, deleted_at FROM documents WHERE id = ANY(${[alone, shared, anothers, edited]})
      ORDER BY id`;
    expect(documents.map(({ id, owner_id, deleted }) => [id, owner_id, deleted])).toEqual([
      [alone, me, true],
      [shared, b, false],
      [anothers, a, false],
      [edited, a, false],
    ]);
    expect(documents[0]?.deleted_at).toEqual(new Date(world.clock.now()));
    expect(await world.sql`SELECT 1 FROM document_permissions WHERE user_id = ${me}`).toHaveLength(0);
    const roles = await world.sql`SELECT 1 FROM document_permissions WHERE document_id = ${shared}`;
    expect(roles).toHaveLength(2);
    const told = world.signals.filter((signal) => signal.type !== 'session_ended');
    expect(told).toHaveLength(4);
    expect(told).toContainEqual({ type: 'document_deleted', doc_id: alone });
    for (const doc_id of [shared, anothers, edited])
      expect(told).toContainEqual({ type: 'role', doc_id, user_id: me, role: null });
  });

  test('waits for a change of a document’s people that is under way, so that an owner always stays', async () => {
    const person = await world.register(name);
    const ada = await world.register(`${name}-ada`);
    const doc_id = await insertDocument(
      'shared',
      { [person.user.id]: 'owner', [ada.user.id]: 'owner' },
      person.user.id,
    );
    let erased = false;
    const under_way = await world.sql.begin(async (sql) => {
      await sql`SELECT FROM documents WHERE id = ${doc_id} FOR NO KEY UPDATE`;
      const erasing = erase(person.access_token, passwordOf(name)).then(() => {
        erased = true;
      });
      await somebodyWaits();
      expect(erased).toBe(false);
      await sql`DELETE FROM document_permissions WHERE document_id = ${doc_id} AND user_id = ${ada.user.id}`;
      return { erasing };
    });
    await under_way.erasing;
    const [row] = await world.sql`SELECT deleted, owner_id FROM documents WHERE id = ${doc_id}`;
    expect(row).toEqual({ deleted: true, owner_id: person.user.id });
  });

  test('is gone for a request that was let in a moment before', async () => {
    const person = await world.register(name);
    await erase(person.access_token, passwordOf(name));
    expect(world.accounts.own(person.user.id)).rejects.toThrow('This account is gone.');
    expect(world.accounts.rename(person.user.id, 'Phoenix')).rejects.toThrow('This account is gone.');
  });

  test('is no admin any more, and a promoted one is at once', async () => {
    const person = await world.register(name);
    expect(await world.accounts.isAdmin(person.user.id)).toBe(false);
    await world.sql`UPDATE users SET role = 'admin' WHERE id = ${person.user.id}`;
    expect(await world.accounts.isAdmin(person.user.id)).toBe(true);
    await erase(person.access_token, passwordOf(name));
    expect(await world.accounts.isAdmin(person.user.id)).toBe(false);
  });

  test('erased twice at the same moment is erased once', async () => {
    const person = await world.register(name);
    const answers = await Promise.all([1, 2].map(() => erase(person.access_token, passwordOf(name))));
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 401]);
  });
});

/** Resolves once another connection waits for a row lock. */
async function somebodyWaits(): Promise<void> {
  for (;;) {
    const rows =
      await world.sql`SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`;
    if (rows.length > 0) return;
  }
}
