/** What is looked up, and when: shown.ts. */
import { expect, test } from 'bun:test';
import { cursorState, digitCursors } from '../../test/support/core.ts';
import { locate, relativeCursors, type Shown, shownInText, textState } from './shown.ts';

test('J45: cursors are brought to a revision once, all together, and only when somebody asks', () => {
  const calls: [string, number][] = [];
  const { toAbsolute, carry } = digitCursors();
  const cursors = {
    ...digitCursors(),
    rev: 0,
    toAbsolute: (ranges: Parameters<typeof toAbsolute>[0]) => {
      if (ranges.length > 0) calls.push(['found', ranges.length]);
      return toAbsolute(ranges);
    },
    carry: (...[range, rev]: Parameters<typeof carry>) => {
      calls.push(['carried', rev]);
      return range;
    },
  };
  const relative = (at: number): Shown => ({ state: { cursor: { anchor: { at }, head: { at: 9 } } }, place: null });
  const all = [relative(1), relative(2), shownInText(cursorState(3, 1), cursors), shownInText({}, cursors)].map(
    (shown) => ({ shown }),
  );
  const looked = (): unknown[] => {
    locate(all, cursors);
    return calls.splice(0);
  };
  expect([looked(), looked()]).toEqual([[['found', 2]], []]);
  cursors.rev = 4;
  relativeCursors(all.slice(2), cursors);
  expect(calls.splice(0)).toEqual([['carried', 0]]);
  expect([looked(), looked()]).toEqual([[['found', 2]], []]);
  cursors.rev = 9;
  expect(looked()).toEqual([
    ['found', 2],
    ['carried', 4],
  ]);
  expect(all.map(({ shown }) => textState(shown))).toEqual([
    cursorState(1, 8),
    cursorState(2, 7),
    cursorState(3, 1),
    {},
  ]);
});
