import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test';
import { LimitWorld, smallSettings } from '../../test/support/rate-limits.ts';
import { ManualClock } from '../base/clock.ts';

let world: LimitWorld;
beforeAll(async () => {
  world = await LimitWorld.start();
});
afterEach(() => world.renew());
afterAll(() => world.close());

test('what stands in Redis names nobody', async () => {
  const limits = world.limits(smallSettings({}));
  const key = limits.hash('sign-in', 'ada@example.org', '192.0.2.7');
  expect(key).toMatch(/^[\w-]{22}$/);
  expect(limits.hash('sign-in', 'ada@example.org', '192.0.2.8')).not.toBe(key);
  expect(limits.hash('sign-in', 'ada@example.org192.0.2.7')).not.toBe(key);
  expect(limits.hash('sign-in', 'ada@example.org', '192.0.2.7')).toBe(key);
});

test('refusals are counted by limit; the log has one line for a burst, and how many it stands for', async () => {
  const clock = new ManualClock();
  const limits = world.limits(smallSettings({ documents: 1 }), clock);
  for (let i = 0; i < 6; i++) await limits.take('documents', 'ada');
  clock.advance(60_000);
  await limits.take('documents', 'ada');
  const mine = world.lines.filter(({ limit }) => limit === 'documents');
  expect(mine.map((line) => [line.level, line.setting, line.refused_since_last_line])).toEqual([
    ['warn', 'RATE_LIMIT_DOCUMENTS=1/60', 1],
    ['warn', 'RATE_LIMIT_DOCUMENTS=1/60', 5],
  ]);
  const { values } = await world.metrics.rate_limited.get();
  expect(values.filter(({ labels }) => labels.limit === 'documents').map(({ value }) => value)).toEqual([6]);
});
