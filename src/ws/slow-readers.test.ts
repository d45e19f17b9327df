/** Who reads too slowly: the bounds, each at its value and one beyond. docs/PROTOCOL.md, C14. */
import { beforeEach, describe, expect, test } from 'bun:test';
import { LIMITS, TIMES } from '../protocol/limits.ts';
import { type Reader, SlowReaders } from './slow-readers.ts';

const SOFT = LIMITS.socket_backlog_bytes_max;
const PROGRESS = LIMITS.slow_reader_progress_bytes_min;

interface Played extends Reader {
  unsent: number;
}

let readers: Played[];
let watch: SlowReaders<Played>;
let now: number;

beforeEach(() => {
  readers = [];
  watch = new SlowReaders();
  now = 1_000_000;
});

function reader(unsent: number): Played {
  const played = { unsent };
  readers.push(played);
  return played;
}

/** Looks once more, `ms` later: those that are too slow by themselves. */
function look(ms = 1_000): readonly Played[] {
  now += ms;
  const { slow, surplus } = watch.look(readers, now);
  expect(surplus).toEqual([]);
  return slow;
}

describe('one reader', () => {
  test(`C14: may leave socket_backlog_bytes_max (${SOFT}) unread for ever; one byte more only for slow_reader_ms (${TIMES.slow_reader_ms})`, () => {
    reader(SOFT);
    const slow = reader(SOFT + 1);
    expect(look()).toEqual([]);
    expect(look(TIMES.slow_reader_ms - 1)).toEqual([]);
    expect(look(1)).toEqual([slow]);
  });

  test(`C14: is let be while what waits falls by slow_reader_progress_bytes_min (${PROGRESS}) within that time, and not for one byte less`, () => {
    const [steady, slower] = [reader(3 * SOFT), reader(3 * SOFT)];
    look();
    for (let times = 0; times < 20; times++) {
      steady.unsent -= PROGRESS;
      if (times === 0) slower.unsent -= PROGRESS - 1;
      expect(look(TIMES.slow_reader_ms - 1)).toEqual([]);
      if (times > 0) continue;
      expect(look(1)).toEqual([slower]);
      readers = [steady];
    }
  });

  test('C14: may take what it reads in portions with long pauses in between, as kernels do', () => {
    const jerky = reader(3 * SOFT);
    for (let second = 0; jerky.unsent > 0; second++) {
      if (second % 12 === 11) jerky.unsent = Math.max(0, jerky.unsent - 1_400_000);
      expect(look()).toEqual([]);
    }
  });

  test('C14: is too slow at once when more than as much again as it may leave unread has gathered since it last read', () => {
    const flooded = reader(SOFT + 1);
    look();
    flooded.unsent += SOFT;
    expect(look()).toEqual([]);
    flooded.unsent += 1;
    expect(look()).toEqual([flooded]);
  });

  test('C14: begins anew once it had caught up', () => {
    const reading = reader(2 * SOFT);
    look();
    reading.unsent = SOFT;
    expect(look(TIMES.slow_reader_ms)).toEqual([]);
    reading.unsent = 3 * SOFT;
    expect(look()).toEqual([]);
    expect(look(TIMES.slow_reader_ms)).toEqual([reading]);
  });
});

describe('all readers of a node', () => {
  const WHOLE = LIMITS.node_unsent_bytes_max;

  /** Those for whom there is no room. */
  function lookForRoom(): readonly Played[] {
    now += 1_000;
    const { slow, surplus } = watch.look(readers, now);
    expect(slow).toEqual([]);
    return surplus;
  }

  test(`C14: may leave node_unsent_bytes_max (${WHOLE}) unread; with one byte more those with the most have to go until it is less`, () => {
    const small = reader(SOFT);
    const count = (WHOLE - SOFT) / (2 * SOFT) - 0.5;
    for (let i = 0; i < count; i++) reader(2 * SOFT);
    const [largest, last] = [reader(SOFT), reader(0)];
    expect(readers.reduce((sum, { unsent }) => sum + unsent, 0)).toBe(WHOLE);
    expect(lookForRoom()).toEqual([]);
    last.unsent += 1;
    largest.unsent += 1;
    small.unsent -= 1;
    const [gone, ...others] = lookForRoom();
    expect(others).toEqual([]);
    expect(gone?.unsent).toBe(2 * SOFT);
  });

  test('C14: do not send one of them away that is within its own bound, however many there are', () => {
    for (let sum = 0; sum <= WHOLE; sum += SOFT) reader(SOFT);
    expect(lookForRoom()).toEqual([]);
    const over = reader(SOFT + 1);
    expect(lookForRoom()).toEqual([over]);
  });
});
