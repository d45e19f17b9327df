import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { ROOT } from '../bin/lib/paths.ts';
import { type Random, seededRandom } from '../src/base/random.ts';
import { createTestDatabase, type TestDatabase } from '../test/support/database.ts';
import { runFolder, uniqueName } from '../test/support/environment.ts';
import { type ServerProcess, startServer } from '../test/support/processes.ts';
import { startRedis, type TestRedis } from '../test/support/redis.ts';
import { register } from './place.ts';
import { Astral, type Patch, patchDeltas, readTrace } from './trace.ts';

let database: TestDatabase;
let redis: TestRedis;
let server: ServerProcess;
let token: string;
let folder: string;

beforeAll(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  server = await startServer({ DATABASE_URL: database.url, REDIS_URL: redis.url, RATE_LIMITS: 'off' });
  token = await register(server.url, 'replay@example.org', 'open sesame, says the test');
  folder = runFolder(uniqueName('traces'));
});

afterAll(async () => {
  await server.terminate();
  await Promise.all([database.drop(), redis.stop()]);
});

const CHARACTERS = [...'ab \n\u00e9\u6f22😀🏳'];

/** A keystroke on this text, which is changed by it: mostly a character in, sometimes one or two out. */
function keystroke(random: Random, text: string[], offset: number): Patch {
  const at = Math.floor(random.float() * (text.length + 1));
  const gone = random.float() < 0.3 ? Math.min(text.length - at, 1 + Math.floor(random.float() * 2)) : 0;
  const inserted = gone > 0 ? '' : (CHARACTERS[Math.floor(random.float() * CHARACTERS.length)] ?? 'a');
  text.splice(at, gone, ...inserted);
  return [offset + at, gone, inserted];
}

/** One person's trace, in the file format. */
function sequential(random: Random, length: number) {
  const text: string[] = [];
  const txns = Array.from({ length }, () => ({ patches: [keystroke(random, text, 0)] }));
  return { startContent: '', endContent: text.join(''), txns: txns.filter(isChange) };
}

function isChange({ patches }: { readonly patches: readonly Patch[] }): boolean {
  return patches.some(([, gone, inserted]) => gone > 0 || inserted !== '');
}

/**
 * Two people's trace: one writes before a bar and the other behind it, so that they never meet; each mostly works on a
 * text that lacks what the other did lately.
 */
function concurrent(random: Random, length: number) {
  const sides: [string[], string[]] = [[], []];
  const txns: { parents: number[]; agent: number; patches: Patch[] }[] = [
    { parents: [], agent: 0, patches: [[0, 0, '|']] },
  ];
  /** Each one's last transaction, and how long the left side was when the right one last looked. */
  const last = [0, 0];
  let left_as_known = 0;
  while (txns.length < length) {
    const agent = random.float() < 0.5 ? 0 : 1;
    const parents = [last[agent] ?? 0];
    if (random.float() < 0.2 && last[1 - agent] !== parents[0]) {
      parents.push(last[1 - agent] ?? 0);
      if (agent === 1) left_as_known = sides[0].length;
    }
    const patch = keystroke(random, sides[agent], agent === 0 ? 0 : left_as_known + 1);
    const txn = { parents, agent, patches: [patch] };
    if (!isChange(txn)) continue;
    last[agent] = txns.push(txn) - 1;
  }
  return { kind: 'concurrent', numAgents: 2, endContent: `${sides[0].join('')}|${sides[1].join('')}`, txns };
}

async function write(name: string, trace: object): Promise<string> {
  const path = join(folder, name);
  await Bun.write(path, Bun.gzipSync(Buffer.from(JSON.stringify(trace))));
  return path;
}

async function replay(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ code: number; said: string }> {
  const child = Bun.spawn([process.execPath, 'bench/replay.ts', ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, said: out + err };
}

const here = (): string[] => ['--url', server.url, '--token', token];

test('a trace of one person comes out byte for byte through the JSON door, and again after the server was killed', async () => {
  const path = await write('one.json.gz', sequential(seededRandom(1), 300));
  const { code, said } = await replay([path], { DATABASE_URL: database.url, REDIS_URL: redis.url });
  expect(said).toMatch(/through the json door: .* edits\/s; ack p50 [\d.]+ ms, p95 [\d.]+ ms, p99 [\d.]+ ms/);
  expect(said).toMatch(/\nthe end: all \d+ bytes as in the trace/);
  expect(said).toMatch(/\nafter kill -9 and a new start: all \d+ bytes as in the trace/);
  expect(code).toBe(0);
}, 60_000);

test.each(['json', 'yjs'])(
  'a trace of two people who write at once comes out byte for byte through the %s door',
  async (door) => {
    const path = await write('two.json.gz', concurrent(seededRandom(2), 400));
    for (const batch of ['1', '4']) {
      const { code, said } = await replay([path, '--door', door, '--batch', batch, ...here()]);
      expect(said).toContain(`through the ${door} door`);
      expect(said).toMatch(/\nthe end: all \d+ bytes as in the trace/);
      expect(code).toBe(0);
    }
  },
  60_000,
);

test('a text that is not that of the trace is told, and the exit code is 1', async () => {
  const trace = sequential(seededRandom(3), 20);
  const path = await write('wrong.json', { ...trace, endContent: `${trace.endContent}!` });
  const { code, said } = await replay([path, '--door', 'yjs', ...here()]);
  expect(said).toMatch(/the end: WRONG: \d+ bytes instead of \d+, other from byte \d+ on/);
  expect(code).toBe(1);
}, 60_000);

test('steps of several keystrokes end where somebody else had looked', async () => {
  const path = await write('steps.json.gz', concurrent(seededRandom(4), 200));
  const [ones, fours] = [await readTrace(path, 1), await readTrace(path, 4)];
  expect(ones.steps.length).toBe(ones.patches);
  expect(fours.steps.length).toBeLessThan(ones.steps.length);
  expect(fours.steps.flatMap(({ patches }) => patches).length).toBe(ones.patches);
  expect(Math.max(...fours.steps.map(({ patches }) => patches.length))).toBe(4);
  const made = [0, 0];
  for (const { agent, knows } of fours.steps) {
    expect(knows[agent]).toBe(made[agent] as number);
    expect(knows[1 - agent]).toBeLessThanOrEqual(made[1 - agent] as number);
    made[agent] = (made[agent] ?? 0) + 1;
  }
});

test('positions in code points become positions in UTF-16 units', () => {
  const random = seededRandom(5);
  const text: string[] = [];
  const astral = new Astral();
  let units = '';
  for (let i = 0; i < 500; i++) {
    const [delta = []] = patchDeltas([keystroke(random, text, 0)], astral);
    let at = 0;
    for (const op of delta) {
      if (op.retain !== undefined) at += op.retain;
      else if (op.delete !== undefined) units = units.slice(0, at) + units.slice(at + op.delete);
      else units = units.slice(0, at) + op.insert + units.slice(at);
    }
    expect(units).toBe(text.join(''));
  }
});
