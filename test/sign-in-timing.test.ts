/**
 * How long a refused sign-in takes says nothing about whether there is such an account. Both kinds are tried in turns, each
 * in its own random order, so that whatever else the machine does meets both alike; medians are compared, since a few answers
 * are always late. docs/SECURITY.md has the figures of a longer run.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { openTestServer, type TestServer } from './support/server.ts';

const TRIES = 40;
const ACCOUNTS = 4;
/** Of what checking a password takes: a machine that has other work to do is this inexact. */
const DIFFERENCE_MAX = 0.2;

let server: TestServer;

beforeAll(async () => {
  server = await openTestServer({
    RATE_LIMITS: 'on',
    RATE_LIMIT_SIGN_IN: '100000/60',
    RATE_LIMIT_SIGN_IN_EMAIL: '100000/60',
    RATE_LIMIT_SIGN_IN_FAILURES: '100000/60',
  });
  for (let i = 0; i < ACCOUNTS; i++) await server.register(`known-${i}`);
});

afterAll(async () => {
  await server.stop();
  expect(server.errors()).toEqual([]);
});

/** How long a wrong password is refused, milliseconds, and in which words. */
async function refusal(email: string): Promise<{ readonly ms: number; readonly words: string }> {
  const began = performance.now();
  const { status, body } = await server.call('POST', '/v1/auth/login', undefined, { email, password: 'wrong, I fear' });
  const ms = performance.now() - began;
  return { ms, words: `${status} ${body.error.code} ${body.error.message}` };
}

const median = (times: readonly number[]): number => times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0;

test('a sign-in with a wrong password is refused in the same words and time whether or not there is the account', async () => {
  const times = { known: [] as number[], nobody: [] as number[] };
  const words = new Set<string>();
  for (let i = 0; i < 2 * TRIES; i++) {
    // Which of the two goes first changes all the time, too.
    const kind = (i + (i >> 1)) % 2 === 0 ? 'known' : 'nobody';
    const refused = await refusal(`${kind}-${(i >> 1) % ACCOUNTS}@example.org`);
    times[kind].push(refused.ms);
    words.add(refused.words);
  }
  expect(words.size).toBe(1);
  const [known, nobody] = [median(times.known), median(times.nobody)];
  expect(Math.abs(known - nobody)).toBeLessThan(DIFFERENCE_MAX * known);
});
