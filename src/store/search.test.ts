import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { addPerson } from '../../test/support/people.ts';
import { seededRandom, systemRandom } from '../base/random.ts';
import { insertDocument, listDocuments, setTitle } from './documents.ts';
import { SEARCHED_UNITS_MAX, searchBody } from './search.ts';

let database: TestDatabase;
const at = new Date(Date.UTC(2026, 0, 1));

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** A search over one document, and nothing but it. */
async function searchable(title: string, body: string) {
  const { sql } = database;
  const id = systemRandom.id();
  const owner_id = await addPerson(sql, id);
  await insertDocument(sql, { id, title, owner_id, at, head_rev: 0 });
  await searchBody(sql, id, body);
  const finds = async (typed: string): Promise<boolean> => {
    const filter = { user_id: owner_id, typed, role: null, deleted: false, after_id: null };
    return (await listDocuments(sql, filter, 1)).length === 1;
  };
  return { id, finds };
}

describe('what is typed', () => {
  test.each([
    ['a word of the title', 'minutes', true],
    ['a word of the body', 'otter', true],
    ['words of both, in any order and case', 'OTTER Minutes', true],
    ['letters that are not ASCII, in any case', 'ÉTÉ', true],
    ['a word that is not there', 'badger', false],
    ['one word that is there and one that is not', 'otter badger', false],
    ['the beginning of the last word', 'minutes ott', true],
    ['the beginning of another word than the last', 'ott minutes', false],
    ['the beginning of a word, when a space ended it', 'ott ', false],
    ['either of two words', 'badger or otter', true],
    ['either of two words, the last of them begun', 'badger or ott', true],
    ['a word that must not be there', 'minutes -otter', false],
    ['an absent word that must not be there', 'minutes -badger', true],
    ['a phrase', '"brown otter"', true],
    ['a phrase in another order', '"otter brown"', false],
    ['a phrase whose last word is cut short', '"brown ott"', false],
    ['a phrase that is still being typed', '"brown ott', true],
    ['a host name', 'example.org', true],
    ['the beginning of a host name', 'example.o', true],
    ['nothing but punctuation', '?!', false],
  ])('%s', async (_what, typed, found) => {
    const { finds } = await searchable('Minutes of été', 'the quick brown otter, see example.org');
    expect(await finds(typed)).toBe(found);
  });

  test('characters of scripts without spaces are found wherever they stand', async () => {
    const { finds } = await searchable('会議', '今日は東京で会議があります');
    expect(await finds('東京')).toBe(true);
    expect(await finds('"東京で"')).toBe(true);
    expect(await finds('京都')).toBe(false);
  });

  test('never fails, whatever it is', async () => {
    const { finds } = await searchable('a', 'b');
    const random = seededRandom(7);
    const pieces = [
      'a',
      'b',
      '"',
      "'",
      ' ',
      '-',
      'or',
      '&',
      '|',
      '!',
      '(',
      ')',
      ':*',
      '<->',
      '\\',
      '\0',
      '\ud800',
      '😀',
      '_',
    ];
    for (let round = 0; round < 200; round++) {
      const typed = Array.from(
        { length: 1 + (random.uint32() % 8) },
        () => pieces[random.uint32() % pieces.length],
      ).join('');
      expect([typed, typeof (await finds(typed))]).toEqual([typed, 'boolean']);
    }
  });
});

describe('what is searched', () => {
  test('a new title replaces the old one and leaves the body alone', async () => {
    const { id, finds } = await searchable('Minutes', 'otter');
    await setTitle(database.sql, id, 'Report', at);
    expect([await finds('minutes'), await finds('report'), await finds('otter')]).toEqual([false, true, true]);
  });

  test('a new body replaces the old one', async () => {
    const { id, finds } = await searchable('Minutes', 'otter');
    await searchBody(database.sql, id, 'badger');
    expect([await finds('otter'), await finds('badger')]).toEqual([false, true]);
  });

  test('characters that PostgreSQL cannot hold are left out', async () => {
    const { finds } = await searchable('Minutes', 'ot\0ter \ud800 badger');
    expect([await finds('otter'), await finds('badger')]).toEqual([true, true]);
  });

  test('of a text with more words than fit, the first ones are found, and the title still fits beside them', async () => {
    const words = Array.from({ length: 120_000 }, (_, index) => `w${index.toString(36)}x`);
    const { id, finds } = await searchable('Minutes', words.join(' '));
    await setTitle(database.sql, id, '漢'.repeat(255), at);
    expect([await finds('w1x'), await finds('漢'), await finds(words.at(-1) ?? '')]).toEqual([true, true, false]);
  });

  test('a text of few words is searched up to its limit, and no further', async () => {
    const filler = 'otter '.repeat(SEARCHED_UNITS_MAX / 6 - 20);
    const padding = ' '.repeat(SEARCHED_UNITS_MAX - filler.length - 'badger'.length);
    expect(await (await searchable('Minutes', `${filler}${padding}badger`)).finds('badger')).toBe(true);
    expect(await (await searchable('Minutes', `${filler}${padding} badger`)).finds('badger')).toBe(false);
  });

  test('words within and behind what looks like markup are found, and a text of nothing else takes no time', async () => {
    const { finds } = await searchable('a', `<b class="badger">otter</b> <!-- ferret ${'<!--'.repeat(200_000)} weasel`);
    for (const word of ['badger', 'otter', 'ferret', 'weasel']) expect([word, await finds(word)]).toEqual([word, true]);
  });

  test('a document that is gone is no error', async () => {
    await searchBody(database.sql, systemRandom.id(), 'otter');
  });
});
