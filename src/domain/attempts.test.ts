import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { LimitWorld, type SmallLimits, smallSettings } from '../../test/support/rate-limits.ts';
import { ManualClock } from '../base/clock.ts';
import { ConcordError } from '../protocol/errors.ts';
import { BLOCK_S_MAX } from '../protocol/rate-limits.ts';
import { ATTEMPTS_WAITING_MAX, type Attempt, AttemptGuard, SUSPECT_TRIES } from './attempts.ts';

let world: LimitWorld;
beforeAll(async () => {
  world = await LimitWorld.start();
});
afterEach(() => world.renew());
afterAll(() => world.close());

const guardWith = (small: SmallLimits, block_s = 30): AttemptGuard =>
  new AttemptGuard(world.limits(smallSettings(small, { block_s })));

const from = (address: string): Attempt => ({ limit: 'sign_in_failures', key: `ada ${address}`, target: 'ada' });
const HOME = from('home');

const wrong = (): Promise<never> => Promise.reject(new ConcordError('INVALID_CREDENTIALS'));
const right = (): Promise<string> => Promise.resolve('in');

/** What came of an attempt: the code of its refusal and how long to wait, or its result. */
async function outcome(guard: AttemptGuard, attempt: Attempt, prove: () => Promise<string>): Promise<unknown> {
  try {
    return await guard.run(attempt, prove);
  } catch (error) {
    if (!(error instanceof ConcordError)) throw error;
    return error.code === 'RATE_LIMITED' ? error.retry_after_s : error.code;
  }
}

async function failTimes(guard: AttemptGuard, attempt: Attempt, times: number): Promise<void> {
  for (let i = 0; i < times; i++) expect(await outcome(guard, attempt, wrong)).toBe('INVALID_CREDENTIALS');
}

test('after N failures the pair waits, whatever it tries; from elsewhere the right password is let in', async () => {
  const guard = guardWith({ sign_in_failures: 3 });
  await failTimes(guard, HOME, 3);
  let asked = 0;
  const counted = (): Promise<string> => {
    asked += 1;
    return right();
  };
  expect(await outcome(guard, HOME, counted)).toBe(30);
  expect(asked).toBe(0);
  expect(await outcome(guard, from('work'), counted)).toBe('in');
});

test('each further failure doubles the wait, up to an hour', async () => {
  const guard = guardWith({ sign_in_failures: 1 }, 400);
  const waits: unknown[] = [];
  for (let i = 0; i < 5; i++) {
    await failTimes(guard, HOME, 1);
    waits.push(await outcome(guard, HOME, right));
    await world.unblock();
  }
  expect(waits).toEqual([400, 800, 1_600, 3_200, BLOCK_S_MAX]);
});

test('a right password forgets the failures before it', async () => {
  const guard = guardWith({ sign_in_failures: 3 });
  await failTimes(guard, HOME, 2);
  expect(await outcome(guard, HOME, right)).toBe('in');
  await failTimes(guard, HOME, 3);
  expect(await outcome(guard, HOME, right)).toBe(30);
});

test('what is no wrong password does not count', async () => {
  const guard = guardWith({ sign_in_failures: 1 });
  const away = (): Promise<never> => Promise.reject(new ConcordError('UNAVAILABLE'));
  for (let i = 0; i < 3; i++) expect(await outcome(guard, HOME, away)).toBe('UNAVAILABLE');
  expect(await outcome(guard, HOME, right)).toBe('in');
});

describe('an e-mail that is guessed at from many addresses', () => {
  const SMALL = { sign_in_failures: 5, sign_in_email: 4 };

  test(`with N failures of all an address has all its tries; with N + 1 it waits after ${SUSPECT_TRIES}`, async () => {
    const guard = guardWith(SMALL);
    for (let i = 0; i < 3; i++) await failTimes(guard, from(`stranger ${i}`), 1);
    await failTimes(guard, from('other'), 1);
    await failTimes(guard, from('late'), SUSPECT_TRIES);
    expect(await outcome(guard, from('late'), right)).toBe(30);
    expect(await outcome(guard, from('stranger 0'), right)).toBe('in');
  });

  test('its owner, who knows the password, gets in from anywhere', async () => {
    const guard = guardWith(SMALL);
    for (let i = 0; i < 20; i++) await failTimes(guard, from(`stranger ${i}`), 1);
    expect(await outcome(guard, HOME, right)).toBe('in');
    await failTimes(guard, from('hotel'), 1);
    expect(await outcome(guard, from('hotel'), right)).toBe('in');
  });
});

describe('at the same moment', () => {
  test('a hundred wrong passwords of one pair are N guesses', async () => {
    const guard = guardWith({ sign_in_failures: 3 });
    const outcomes = await Promise.all(Array.from({ length: 100 }, () => outcome(guard, HOME, wrong)));
    expect(outcomes.filter((one) => one === 'INVALID_CREDENTIALS')).toHaveLength(3);
  });

  test(`ATTEMPTS_WAITING_MAX (${ATTEMPTS_WAITING_MAX}) right ones all get in; one more waits a second`, async () => {
    const guard = guardWith({ sign_in_failures: 3 });
    const many = Array.from({ length: ATTEMPTS_WAITING_MAX + 1 }, () => outcome(guard, HOME, right));
    const outcomes = await Promise.all(many);
    expect(outcomes.filter((one) => one === 'in')).toHaveLength(ATTEMPTS_WAITING_MAX);
    expect(outcomes.at(-1)).toBe(1);
    expect(await outcome(guard, HOME, right)).toBe('in');
  });
});

test('without Redis this node goes on counting, and its waits end', async () => {
  const clock = new ManualClock();
  const guard = new AttemptGuard(world.limits(smallSettings({ sign_in_failures: 2 }), clock));
  await world.server.kill9();
  await failTimes(guard, HOME, 2);
  expect(await outcome(guard, HOME, right)).toBe(30);
  clock.advance(29_000);
  expect(await outcome(guard, HOME, right)).toBe(1);
  clock.advance(1_000);
  expect(await outcome(guard, HOME, right)).toBe('in');
});
