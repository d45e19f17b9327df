import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Queue } from 'bullmq';
import { createTestDatabase, type TestDatabase } from '../test/support/database.ts';
import { startRedis, type TestRedis } from '../test/support/redis.ts';
import { type PasswordSource, Refused } from './admin/command.ts';
import { runAdmin } from './admin.ts';
import { systemClock } from './base/clock.ts';
import { createLog } from './base/log.ts';
import { systemRandom } from './base/random.ts';
import { readDatabaseUrl, readRedis } from './config.ts';
import { Passwords } from './domain/passwords.ts';
import { moveEvent } from './store/audit.ts';
import { connectRedis } from './store/redis.ts';
import { insertSession } from './store/sessions.ts';
import { findUserForSignIn, findUserRole, insertUser } from './store/users.ts';
import { bullConnection, QUEUE_NAMES, QUEUE_PREFIX } from './workers/queues.ts';

const PASSWORD = 'a passphrase that nobody guesses';
const COMMAND = `${import.meta.dir}/admin.ts`;

let database: TestDatabase;
let redis: TestRedis;
const id = systemRandom.id();
const at = new Date(systemClock.now());
beforeAll(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  const email = 'Ada@example.org';
  const ada = { id, email, email_key: email.toLowerCase(), display_name: 'Ada', password_hash: 'hash', at };
  await insertUser(database.sql, ada);
});
afterAll(() => Promise.all([database.drop(), redis.stop()]));

const noPassword: PasswordSource = { ask: () => Promise.reject(new Refused('not asked')), read: async () => '' };
const typing = (password: string): PasswordSource => ({ ask: async () => password, read: async () => password });
const run = (args: readonly string[], passwords = noPassword, redis_url: string | null = redis.url) =>
  runAdmin(args, {
    database_url: () => database.url,
    redis: () => (redis_url === null ? null : { redis_url, redis_cluster: false }),
    passwords,
  });

/** Moves what happened on to the audit log, as the worker would, and gives the actions on this user. */
const auditOf = async (user_id: string) => {
  for (const event of await database.sql<{ id: string }[]>`SELECT id FROM outbox`)
    await moveEvent(database.sql, event.id);
  return database.sql<{ action: string; actor_id: string | null; details: object }[]>`
    SELECT action, actor_id, details FROM audit_log WHERE target_id = ${user_id} ORDER BY id`;
};

describe('roles', () => {
  test('promote makes a user an admin, its e-mail in any case, as often as one likes', async () => {
    expect(await findUserRole(database.sql, id)).toBe('user');
    for (const email of ['ADA@example.org', 'ada@example.org'])
      expect(await run(['promote', email])).toEqual({ exit: 0, says: 'Ada <Ada@example.org> is an admin now.' });
    expect(await findUserRole(database.sql, id)).toBe('admin');
  });

  test('demote takes it back', async () => {
    await run(['promote', 'ada@example.org']);
    expect(await run(['demote', 'ada@example.org'])).toEqual({
      exit: 0,
      says: 'Ada <Ada@example.org> is an ordinary user now.',
    });
    expect(await findUserRole(database.sql, id)).toBe('user');
  });

  test('a change of role is audited, by nobody; what changes none is not', async () => {
    const by = 'command_line';
    expect(await auditOf(id)).toEqual([
      { action: 'user.role_changed', actor_id: null, details: { by, from: 'user', to: 'admin' } },
      { action: 'user.role_changed', actor_id: null, details: { by, from: 'admin', to: 'user' } },
    ] as never);
  });

  test('an e-mail that nobody has is said to be one', async () => {
    for (const command of ['promote', 'demote'])
      expect(await run([command, 'bob@example.org'])).toEqual({
        exit: 1,
        says: expect.stringContaining('Nobody is registered as bob@example.org.'),
      });
  });

  test('list shows everybody or the admins, with nothing that a terminal would obey', async () => {
    await run(['create', 'eve@example.org', '--name=\u001b[2Jeve', '--admin'], typing(PASSWORD));
    const all = await run(['list']);
    expect(all.says.split('\n')[0]).toMatch(/^id +role +since +e-mail +name$/);
    expect(all.says).toContain('Ada@example.org');
    expect(all.says).toMatch(/ admin .* eve@example\.org +\ufffd\[2Jeve/);
    const admins = await run(['list', '--admins']);
    expect(admins.says).not.toContain('Ada@example.org');
    expect(admins.says).toContain('eve@example.org');
  });
});

describe('create', () => {
  test('makes an account that can sign in, and tells the audit log', async () => {
    const outcome = await run(['create', 'Grace@example.org', '--name=Grace Hopper'], typing(PASSWORD));
    expect(outcome).toEqual({ exit: 0, says: 'Grace Hopper <Grace@example.org> has an account now.' });
    const made = await findUserForSignIn(database.sql, 'grace@example.org');
    expect(made?.role).toBe('user');
    expect(await new Passwords(systemRandom).matches(PASSWORD, made?.password_hash ?? null)).toBe(true);
    const events = await auditOf(made?.id ?? '');
    expect([...events]).toEqual([{ action: 'user.registered', actor_id: null, details: { by: 'command_line' } }]);
  });

  test('takes the e-mail for a name, and makes an admin when asked', async () => {
    const outcome = await run(['create', 'root@example.org', '--admin', '--password-stdin'], typing(PASSWORD));
    expect(outcome.says).toBe('root <root@example.org> has an account now and is an admin.');
  });

  test('refuses what registering refuses, and changes nothing', async () => {
    const refused = async (args: string[], password: string) => (await run(['create', ...args], typing(password))).says;
    expect(await refused(['ADA@example.org'], PASSWORD)).toBe('An account with this e-mail exists already.');
    expect(await refused(['no address'], PASSWORD)).toBe('The email must be an e-mail address.');
    expect(await refused(['new@example.org'], 'short')).toContain('at least 10 characters');
    expect(await refused(['new@example.org'], 'x'.repeat(1_025))).toContain('1024 characters at most');
    expect(await refused(['new@example.org', `--name=${'x'.repeat(101)}`], PASSWORD)).toContain('1 to 100 characters');
    expect(await findUserForSignIn(database.sql, 'new@example.org')).toBeNull();
  });
});

describe('reset-password', () => {
  const openSession = async (): Promise<string> => {
    const [row] = await database.sql<{ password_hash: string }[]>`SELECT password_hash FROM users WHERE id = ${id}`;
    const session_id = systemRandom.id();
    await insertSession(database.sql, {
      id: session_id,
      user_id: id,
      password_hash: row?.password_hash ?? '',
      ip: '192.0.2.1',
      user_agent: null,
      token_hash: systemRandom.bytes(32),
      at,
      expires_at: new Date(at.getTime() + 3_600_000),
    });
    return session_id;
  };
  const log = createLog({ level: 'silent', service: 'test', node_id: 'test' });

  test('gives a new password, ends every session and has servers told at once', async () => {
    const session_id = await openSession();
    const listener = connectRedis(redis.url, { name: 'test', kind: 'standing', log });
    await listener.subscribe('concord:signals');
    const heard = new Promise<string>((resolve) => listener.on('message', (_, message) => resolve(message)));
    expect(await run(['reset-password', 'ada@example.org'], typing(PASSWORD))).toEqual({
      exit: 0,
      says: 'Ada <Ada@example.org> has a new password; 1 session has ended.',
    });
    expect(JSON.parse(await heard).signal).toEqual({ type: 'session_ended', session_id });
    listener.disconnect();
    const user = await findUserForSignIn(database.sql, 'ada@example.org');
    expect(await new Passwords(systemRandom).matches(PASSWORD, user?.password_hash ?? null)).toBe(true);
    expect((await auditOf(id)).at(-1)).toMatchObject({
      action: 'user.password_changed',
      details: { sessions_ended: 1 },
    });
  });

  test('works without Redis, and says what that means', async () => {
    await openSession();
    const outcome = await run(['reset-password', 'ada@example.org'], typing(PASSWORD), null);
    expect(outcome.says).toContain('1 session has ended, though servers notice it only within 10 seconds');
    await openSession();
    const away = await run(['reset-password', 'ada@example.org'], typing(PASSWORD), 'redis://127.0.0.1:1');
    expect(away.says).toContain('only within 10 seconds');
  });
});

describe('audit', () => {
  test('shows what was done to a user, found by id or e-mail, as many rows as asked', async () => {
    await run(['reset-password', 'ada@example.org'], typing(PASSWORD));
    await run(['reset-password', 'ada@example.org'], typing(PASSWORD));
    await auditOf(id);
    for (const user of [id, id.toUpperCase(), 'ADA@example.org']) {
      const { exit, says } = await run(['audit', `--user=${user}`, '--limit=2']);
      const [head, ...rows] = says.split('\n');
      expect([exit, rows.length]).toEqual([0, 2]);
      expect(head).toMatch(/^at +action +actor +target +document +ip +request +details$/);
      expect(rows[0]).toContain('user.password_changed');
      expect(rows[0]).toContain(id);
    }
  });

  test('says when nothing is recorded, and refuses what makes no sense', async () => {
    expect(await run(['audit', `--document=${systemRandom.id()}`])).toMatchObject({
      exit: 0,
      says: expect.stringContaining('Nothing is recorded.'),
    });
    for (const args of [
      [],
      ['--document=5'],
      ['--user=5'],
      ['--user=x@y', '--limit=0'],
      [`--user=${id}`, '--limit=1e3'],
    ])
      expect([args, (await run(['audit', ...args])).exit]).toEqual([args, 2]);
    expect((await run(['audit', '--user=x@y'])).says).toContain('Nobody is registered as x@y.');
  });
});

describe('queues', () => {
  test('shows every queue, and tries failed jobs again', async () => {
    const log = createLog({ level: 'silent', service: 'test', node_id: 'test' });
    const connection = connectRedis(redis.url, { name: 'test', kind: 'standing', log });
    const queue = new Queue('snapshots', { connection: bullConnection(connection), prefix: QUEUE_PREFIX });
    const job = await queue.add('snapshots', {}, { timestamp: systemClock.now() - 120_000 });
    const shown = (await run(['queues'])).says.split('\n');
    expect(shown[0]).toMatch(/^queue +waiting +active +delayed +failed +oldest$/);
    expect(shown.slice(1).map((line) => line.split(/ +/)[0])).toEqual([...QUEUE_NAMES]);
    expect(shown.find((line) => line.startsWith('snapshots'))).toMatch(/^snapshots +1 +0 +0 +0 +12\d s$/);
    // As a worker leaves a job that failed for good.
    await connection.lrem(`${QUEUE_PREFIX}:snapshots:wait`, 0, job.id ?? '');
    await connection.zadd(`${QUEUE_PREFIX}:snapshots:failed`, 1, job.id ?? '');
    expect((await run(['queues', 'retry', 'snapshots'])).says).toBe('1 failed job of snapshots will be tried again.');
    expect(await job.getState()).toBe('waiting');
    await queue.close();
    connection.disconnect();
  });

  test('says when Redis is not known, does not answer or has no such queue', async () => {
    expect(await run(['queues'], noPassword, null)).toEqual({
      exit: 1,
      says: 'REDIS_URL is required to see the queues.',
    });
    expect((await run(['queues'], noPassword, 'redis://127.0.0.1:1')).says).toContain('Redis does not answer.');
    expect((await run(['queues', 'retry', 'nothing'])).says).toContain(
      'There is no queue nothing; there are schedule,',
    );
    expect((await run(['queues', 'clear'])).exit).toBe(2);
  }, 15_000);
});

test('anything else gets the reason and the usage', async () => {
  const wrong = [
    [],
    ['promote'],
    ['toString'],
    ['promote', 'a@b', 'c@d'],
    ['list', '--password=x'],
    ['create', '--name'],
  ];
  for (const args of wrong)
    expect(await run(args)).toEqual({ exit: 2, says: expect.stringContaining('bin/admin promote <email>') });
  expect((await run(['--help'])).exit).toBe(0);
});

test('a database that is missing, away or strange is named as the trouble', async () => {
  const on = (database_url: () => string) =>
    runAdmin(['promote', 'a@b'], { database_url, redis: () => null, passwords: noPassword });
  expect(await on(() => readDatabaseUrl({}))).toEqual({ exit: 1, says: 'DATABASE_URL is required.' });
  const away = await on(() => 'postgres://nobody@127.0.0.1:1/concord');
  expect(away).toEqual({ exit: 1, says: expect.stringContaining('The database does not answer') });
  const strange = new URL(database.url);
  strange.pathname = '/template1';
  const empty = await on(() => strange.href);
  expect(empty).toEqual({ exit: 1, says: expect.stringContaining('relation "users" does not exist') });
  expect(readRedis({})).toBeNull();
  expect(() => readRedis({ REDIS_URL: 'http://x' })).toThrow('REDIS_URL must be a URL');
});

describe('the command itself', () => {
  const command = async (args: readonly string[], input = '') => {
    const child = Bun.spawn([process.execPath, COMMAND, ...args], {
      env: { DATABASE_URL: database.url, REDIS_URL: redis.url },
      stdin: new Blob([input]),
      stdout: 'pipe',
      stderr: 'pipe',
    });
    const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    return [await child.exited, out.trim(), err.trim()];
  };

  test('answers on the right stream with the right exit code', async () => {
    expect(await command(['promote', 'ada@example.org'])).toEqual([0, 'Ada <Ada@example.org> is an admin now.', '']);
    expect(await command(['promote', 'x@y'])).toEqual([1, '', expect.stringContaining('Nobody is registered as x@y')]);
    expect(await command([])).toEqual([2, '', expect.stringContaining('Usage')]);
    expect((await command(['queues']))[0]).toBe(0);
  });

  test('reads a password from standard input, its first line, and asks for none where there is no terminal', async () => {
    expect(await command(['create', 'pipe@example.org', '--password-stdin'], `${PASSWORD}\r\nrest`)).toEqual([
      0,
      'pipe <pipe@example.org> has an account now.',
      '',
    ]);
    const user = await findUserForSignIn(database.sql, 'pipe@example.org');
    expect(await new Passwords(systemRandom).matches(PASSWORD, user?.password_hash ?? null)).toBe(true);
    expect(await command(['reset-password', 'pipe@example.org'], PASSWORD)).toEqual([
      1,
      '',
      'There is no terminal to ask for the password on: use --password-stdin.',
    ]);
  });

  test('asks on a terminal, twice, shows nothing of the password, and gives up when told to', async () => {
    const typed = async (...answers: string[]) => {
      let shown = '';
      const child = Bun.spawn([process.execPath, COMMAND, 'reset-password', 'ada@example.org'], {
        env: { DATABASE_URL: database.url },
        terminal: {
          data(terminal, data) {
            shown += Buffer.from(data).toString('utf8');
            if (/(?:Password|Once more): $/.test(shown)) terminal.write(answers.shift() ?? '');
          },
        },
      });
      const code = await child.exited;
      child.terminal?.close();
      return [code, shown.replaceAll('\r\n', '\n').trim()] as const;
    };
    const [code, shown] = await typed('wrong\b\b\b\b\u007fa new passphrase for Ada\r', 'a new passphrase for Ada\r');
    expect([code, shown]).toEqual([
      0,
      expect.stringContaining('Password: \nOnce more: \nAda <Ada@example.org> has a new'),
    ]);
    const user = await findUserForSignIn(database.sql, 'ada@example.org');
    expect(await new Passwords(systemRandom).matches('a new passphrase for Ada', user?.password_hash ?? null)).toBe(
      true,
    );
    expect(await typed('one passphrase\r', 'another one\r')).toEqual([
      1,
      expect.stringMatching(/The two are not the same\.$/),
    ]);
    expect(await typed('one pass\u0003')).toEqual([
      1,
      expect.stringMatching(/^Password: \nGiven up; nothing was changed\.$/),
    ]);
  });
});
