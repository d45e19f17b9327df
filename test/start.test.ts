/**
 * bin/start as somebody at a terminal meets it, in a checkout of its own: its programs are copies, so that they find their
 * state beside them, and all else is that of this one.
 */
import { afterEach, beforeAll, expect, test } from 'bun:test';
import { cpSync, existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { makePassable, ROOT } from '../bin/lib/paths.ts';
import { freePort } from '../bin/lib/ports.ts';
import { isAlive, type ProcessMark, recordProcess } from '../bin/lib/processes.ts';
import { recordsFolder, runFolder, uniqueName } from './support/environment.ts';
import { until } from './support/until.ts';

const START_MS_MAX = 25_000;
const LOGIN = { email: 'ada@example.org', password: 'correct horse battery' };

interface Started {
  readonly pid: number;
  readonly exited: Promise<number>;
  stdout(): string;
  stderr(): string;
  kill(signal: NodeJS.Signals): void;
}

let checkout: string;
let port: number;

beforeAll(async () => {
  checkout = runFolder(uniqueName('checkout'));
  port = await freePort();
  cpSync(join(ROOT, 'bin'), join(checkout, 'bin'), { recursive: true });
  for (const shared of ['src', 'sql', 'node_modules', 'package.json', 'bun.lock']) {
    symlinkSync(join(ROOT, shared), join(checkout, shared));
  }
  makePassable(join(checkout, '.concord'));
  // Where Redis had to be fetched, once is enough.
  if (existsSync(join(ROOT, '.concord/redis'))) {
    symlinkSync(join(ROOT, '.concord/redis'), join(checkout, '.concord/redis'));
  }
});

const started: Started[] = [];
afterEach(async () => {
  for (const one of started) one.kill('SIGTERM');
  await Promise.all(started.splice(0).map((one) => one.exited));
});

function run(env: Record<string, string> = {}): Started {
  const child = Bun.spawn([join(checkout, 'bin/start')], {
    cwd: '/',
    env: { PATH: process.env.PATH, HOME: process.env.HOME, PORT: String(port), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // As in a terminal of its own, so that a signal to the tests does not reach it by another way.
    detached: true,
  });
  recordProcess(recordsFolder(), uniqueName('start'), child.pid, 'SIGTERM', 30_000);
  const [out, err] = [collect(child.stdout), collect(child.stderr)];
  const one = {
    pid: child.pid,
    exited: child.exited,
    stdout: () => out.text,
    stderr: () => err.text,
    kill: (signal: NodeJS.Signals) => child.kill(signal),
  };
  started.push(one);
  return one;
}

async function start(env: Record<string, string> = {}): Promise<Started> {
  const one = run(env);
  const failed = one.exited.then((code) => {
    throw new Error(`bin/start ended with ${code}: ${one.stderr()}`);
  });
  await Promise.race([
    until('the server to run', () => one.stdout().includes('Ctrl-C stops it'), START_MS_MAX),
    failed,
  ]);
  failed.catch(() => {});
  return one;
}

function collect(stream: ReadableStream<Uint8Array>): { text: string } {
  const collected = { text: '' };
  const decoder = new TextDecoder();
  void (async () => {
    for await (const chunk of stream) collected.text += decoder.decode(chunk, { stream: true });
  })();
  return collected;
}

/** What bin/start has running now, by name. */
function processes(): Map<string, ProcessMark> {
  const folder = join(checkout, '.concord/running');
  const files = existsSync(folder) ? readdirSync(folder) : [];
  return new Map(
    files.map((file) => [
      file.replace('.json', ''),
      JSON.parse(readFileSync(join(folder, file), 'utf8')) as ProcessMark,
    ]),
  );
}

async function post(path: string, body: unknown): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return response.status;
}

function expectGone(marks: Iterable<ProcessMark>): void {
  for (const mark of marks) expect(isAlive(mark)).toBe(false);
}

test('it serves, says where everything is, refuses to run twice, and Ctrl-C leaves no process behind', async () => {
  const first = await start();
  for (const place of ['/', '/docs', '/admin/queues'])
    expect(first.stdout()).toContain(`http://localhost:${port}${place}`);
  expect(await post('/v1/auth/register', { ...LOGIN, display_name: 'Ada' })).toBe(201);
  const marks = processes();
  expect([...marks.keys()].sort()).toEqual(['postgres', 'redis', 'server']);

  const second = run();
  expect(await second.exited).toBe(1);
  expect(second.stderr()).toContain(`already runs from this checkout (process ${first.pid})`);

  first.kill('SIGINT');
  expect(await first.exited).toBe(0);
  expectGone(marks.values());
  expect(processes().size).toBe(0);
});

test('what it holds survives a restart, and its keys are for its user alone', async () => {
  const again = await start();
  expect(await post('/v1/auth/login', LOGIN)).toBe(200);
  const mode = (await Bun.file(join(checkout, '.concord/secrets.json')).stat()).mode;
  expect(mode & 0o777).toBe(0o600);
  again.kill('SIGTERM');
  expect(await again.exited).toBe(0);
});

test('after kill -9 the next start stops what was left running and serves the same data', async () => {
  const killed = await start();
  const left = processes();
  killed.kill('SIGKILL');
  await killed.exited;
  for (const mark of left.values()) expect(isAlive(mark)).toBe(true);
  const next = await start();
  expect(next.stderr()).toContain('stopped what an earlier start had left running');
  expectGone(left.values());
  expect(await post('/v1/auth/login', LOGIN)).toBe(200);
  next.kill('SIGHUP');
  expect(await next.exited).toBe(0);
});

test('a PostgreSQL or a Redis that dies is started again, and the server goes on', async () => {
  const one = await start();
  const before = processes();
  for (const name of ['postgres', 'redis']) process.kill(before.get(name)?.pid ?? 0, 'SIGKILL');
  await until(
    'both to run again',
    () => one.stderr().includes('PostgreSQL runs again') && one.stderr().includes('Redis runs again'),
  );
  await until('the server to use them', async () => (await post('/v1/auth/login', LOGIN)) === 200);
  expect(processes().get('server')).toEqual(before.get('server') as ProcessMark);
  one.kill('SIGINT');
  expect(await one.exited).toBe(0);
});

test('when the server dies all else is stopped, and the exit code is the server’s', async () => {
  const one = await start();
  const marks = processes();
  process.kill(marks.get('server')?.pid ?? 0, 'SIGKILL');
  expect(await one.exited).toBe(137);
  expect(one.stderr()).toContain('the server ended by itself');
  expectGone(marks.values());
});

test('a port in use and a bad port are told in a sentence with a way out', async () => {
  const other = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
  const inUse = run({ PORT: String(other.port) });
  expect(await inUse.exited).toBe(1);
  expect(inUse.stderr()).toContain(`port ${other.port} of 127.0.0.1 is in use`);
  expect(inUse.stderr()).toContain(`PORT=${other.port + 1} bin/start`);
  other.stop();
  const bad = run({ PORT: 'http' });
  expect(await bad.exited).toBe(1);
  expect(bad.stderr()).toContain('PORT is "http", and must be a number');
});

test('a setting that the server refuses is shown, and nothing stays behind', async () => {
  const one = run({ JWT_SECRET: 'short' });
  expect(await one.exited).toBe(1);
  expect(one.stderr()).toContain('JWT_SECRET must be at least 32 bytes long');
  expect(processes().size).toBe(0);
});
