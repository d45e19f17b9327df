import { expect, test } from 'bun:test';
import { readPage, toPage } from './schemas.ts';

const rows = (count: number): string[] => Array.from({ length: count }, (_, index) => `key ${index}`);
const page = (count: number, limit: number) =>
  toPage(
    rows(count),
    limit,
    (row) => row,
    (row) => row.toUpperCase(),
  );

test('a page shows up to its limit, and has a next one only when there is more', () => {
  expect(page(0, 2)).toEqual({ items: [], next_cursor: null });
  expect(page(2, 2)).toEqual({ items: ['KEY 0', 'KEY 1'], next_cursor: null });
  expect(page(3, 2)).toEqual({ items: ['KEY 0', 'KEY 1'], next_cursor: expect.any(String) });
});

test('a cursor leads to the last key of the page that gave it, whatever that is made of', () => {
  for (const key of ['key 1', '', 'é😀/+&?', 'a\nb']) {
    const { next_cursor } = toPage(
      [key, 'next'],
      1,
      (row) => row,
      (row) => row,
    );
    expect(next_cursor).toMatch(/^[A-Za-z0-9_-]*$/);
    expect(readPage({ cursor: next_cursor ?? '' }, () => true)).toEqual({ limit: 20, after: key });
  }
});
