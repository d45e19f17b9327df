import { expect, test } from 'bun:test';
import { Line } from './line.ts';

const lineOf = (running_max: number, waiting_max: number) =>
  new Line({ running_max, waiting_max, full: () => new Error('full') });

/** Work that ends when it is told to. */
function held() {
  const ends: (() => void)[] = [];
  const work = () => new Promise<void>((resolve) => void ends.push(resolve));
  return { ends, work };
}
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

test('lets in as many as it may, the others in order, and turns the rest away', async () => {
  const line = lineOf(2, 1);
  const { ends, work } = held();
  const first = [line.run(work), line.run(work)];
  const third = line.run(work);
  expect(ends).toHaveLength(2);
  await expect(line.run(work)).rejects.toThrow('full');
  ends[0]?.();
  await first[0];
  await settle();
  expect(ends).toHaveLength(3);
  for (const end of ends) end();
  await Promise.all([...first, third]);
  await line.run(async () => {});
});

test('goes on when somebody fails', async () => {
  const line = lineOf(1, 1);
  const failing = line.run(() => Promise.reject(new Error('no')));
  const next = line.run(async () => 'done');
  await expect(failing).rejects.toThrow('no');
  expect(await next).toBe('done');
});

test('is idle when nobody is at it, and not while its place is handed over', async () => {
  const line = lineOf(1, 1);
  const { ends, work } = held();
  const both = [line.run(work), line.run(work)];
  expect(line.idle).toBe(false);
  ends[0]?.();
  await both[0];
  expect(line.idle).toBe(false);
  await settle();
  ends[1]?.();
  await both[1];
  expect(line.idle).toBe(true);
});
