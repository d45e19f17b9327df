import { describe, expect, test } from 'bun:test';
import { isUuid } from './ids.ts';
import { type Random, seededRandom, systemRandom } from './random.ts';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

const SOURCES: [string, () => Random][] = [
  ['systemRandom', () => systemRandom],
  ['seededRandom', () => seededRandom(1)],
];

for (const [name, make] of SOURCES) {
  describe(name, () => {
    test('floats are in [0, 1) and spread over it', () => {
      const random = make();
      const floats = Array.from({ length: 2_000 }, () => random.float());
      expect(floats.every((value) => value >= 0 && value < 1)).toBe(true);
      const mean = floats.reduce((sum, value) => sum + value, 0) / floats.length;
      expect(mean).toBeGreaterThan(0.45);
      expect(mean).toBeLessThan(0.55);
    });

    test('uint32 is a whole number of 32 bits, above 2^31 as often as below', () => {
      const random = make();
      const numbers = Array.from({ length: 2_000 }, () => random.uint32());
      expect(numbers.every((value) => Number.isInteger(value) && value >= 0 && value < 2 ** 32)).toBe(true);
      const high = numbers.filter((value) => value >= 2 ** 31).length;
      expect(high).toBeGreaterThan(850);
      expect(high).toBeLessThan(1_150);
    });

    test('bytes are as many as were asked for, and any value comes up', () => {
      const random = make();
      expect(random.bytes(0)).toHaveLength(0);
      expect(random.bytes(33)).toHaveLength(33);
      expect(new Set(random.bytes(10_000)).size).toBe(256);
    });

    test('ids are UUIDs of version 7, all different', () => {
      const random = make();
      const ids = Array.from({ length: 1_000 }, () => random.id());
      expect(ids.every((id) => UUID_V7.test(id) && isUuid(id))).toBe(true);
      expect(new Set(ids).size).toBe(1_000);
    });
  });
}

test('ids of the system are ordered by time', () => {
  const ids = Array.from({ length: 100 }, () => systemRandom.id());
  expect(ids.toSorted()).toEqual(ids);
});

test('the same seed gives the same chance, another seed another', () => {
  const draw = (seed: number) => {
    const random = seededRandom(seed);
    return [random.float(), random.uint32(), [...random.bytes(8)], random.id()];
  };
  expect(draw(42)).toEqual(draw(42));
  expect(draw(42)).not.toEqual(draw(43));
});

test('mulberry32 is the published generator: its first numbers from seed 0', () => {
  const random = seededRandom(0);
  expect([random.uint32(), random.uint32(), random.uint32()]).toEqual([1144304738, 1416247, 958946056]);
});
