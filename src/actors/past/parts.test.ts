import { expect, test } from 'bun:test';
import { Parts } from './parts.ts';

async function readAll(parts: Parts): Promise<number[]> {
  const read: number[] = [];
  for await (const part of parts) read.push(...part);
  return read;
}

test('every reader gets all parts from the first, whether it began before, between or after them', async () => {
  const parts = new Parts();
  const before = readAll(parts);
  parts.add(Uint8Array.of(1, 2));
  const between = readAll(parts);
  parts.add(Uint8Array.of(3));
  parts.end();
  expect(await Promise.all([before, between, readAll(parts)])).toEqual([
    [1, 2, 3],
    [1, 2, 3],
    [1, 2, 3],
  ]);
});

test('it has begun with its first part, or with its end', async () => {
  const [one, none] = [new Parts(), new Parts()];
  const begun = one.begun();
  one.add(Uint8Array.of(1));
  await begun;
  none.end();
  await none.begun();
  expect(await readAll(none)).toEqual([]);
});

test('one that fails says so to whoever waits for its beginning, and behind the parts that came', async () => {
  const error = new Error('no more');
  const [empty, cut] = [new Parts(), new Parts()];
  const begun = empty.begun();
  empty.fail(error);
  await expect(begun).rejects.toBe(error);
  cut.add(Uint8Array.of(1));
  cut.fail(error);
  const read: number[] = [];
  const reading = (async () => {
    for await (const part of cut) read.push(...part);
  })();
  await expect(reading).rejects.toBe(error);
  expect(read).toEqual([1]);
});

test('all of the buffer behind a part is counted', () => {
  const parts = new Parts();
  parts.add(new Uint8Array(11).subarray(0, 1));
  parts.add(new Uint8Array(4));
  expect(parts.bytes).toBe(15);
});
