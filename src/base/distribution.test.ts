import { expect, test } from 'bun:test';
import { Histogram, Registry } from 'prom-client';
import { Distribution } from './distribution.ts';
import { seededRandom } from './random.ts';

test('is printed as a histogram of the same values would be', async () => {
  const config = { name: 'times_seconds', help: 'Times', buckets: [0.001, 0.01, 0.1, 1] };
  const [ours, theirs] = [new Registry(), new Registry()];
  const distribution = new Distribution({ ...config, registers: [ours] });
  const histogram = new Histogram({ ...config, registers: [theirs] });
  expect(await ours.metrics()).toBe(await theirs.metrics());
  const random = seededRandom(4);
  const values = [0, 0.001, 0.0010001, 1, 1.5, ...Array.from({ length: 200 }, () => random.float() * 2)];
  for (const value of values) {
    distribution.observe(value);
    histogram.observe(value);
  }
  expect(await ours.metrics()).toBe(await theirs.metrics());
});
