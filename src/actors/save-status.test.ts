import { beforeEach, describe, expect, test } from 'bun:test';
import { HandLedger } from '../../test/support/core.ts';
import { ManualClock } from '../base/clock.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';
import { SaveStatus } from './save-status.ts';

let clock: ManualClock;
let ledger: HandLedger;
let node_full: boolean;
let status: SaveStatus;
let seen: string[];
let rev: number;

beforeEach(() => {
  clock = new ManualClock();
  ledger = new HandLedger('d', () => clock.monotonic());
  node_full = false;
  seen = [];
  rev = 0;
  status = new SaveStatus(
    clock,
    ledger,
    () => node_full,
    () => seen.push(status.state),
  );
});

/** Hands over `count` revisions of `bytes` each, and has the status look. */
function append(count = 1, bytes = 1): void {
  const update = new Uint8Array(bytes);
  for (let i = 0; i < count; i++) {
    rev += 1;
    ledger.append({ rev, user_id: 'u', client_id: 'c', seq: null, at: 0, update, delta: '' });
  }
  status.update();
}

/** Commits up to `upto`, and has the status look. */
function commit(upto = rev): void {
  ledger.commit(upto);
  status.update();
}

test('nothing was edited: saved', () => {
  expect([status.state, status.since]).toEqual(['saved', clock.now()]);
  clock.advance(60_000);
  expect(seen).toEqual([]);
});

test('saving begins with the first edit that is not on disk', () => {
  clock.advance(1_000);
  append();
  expect([status.state, status.since]).toEqual(['saving', clock.now()]);
});

test(`saved returns ${TIMES.saved_settle_ms} ms after the commit, not before`, () => {
  append();
  clock.advance(5);
  commit();
  clock.advance(TIMES.saved_settle_ms - 1);
  expect(seen).toEqual(['saving']);
  clock.advance(1);
  expect(seen).toEqual(['saving', 'saved']);
  expect(status.since).toBe(clock.now());
});

test('typing does not make it flicker: while edits come and are written at once it stays saving', () => {
  for (let key = 0; key < 100; key++) {
    append();
    clock.advance(3);
    commit();
    clock.advance(97);
  }
  expect(seen).toEqual(['saving']);
  clock.advance(TIMES.saved_settle_ms);
  expect(seen).toEqual(['saving', 'saved']);
});

test(`unsaved comes once the oldest edit has waited ${TIMES.unsaved_after_ms} ms, whatever came after it`, () => {
  append();
  clock.advance(TIMES.unsaved_after_ms - 1);
  append();
  expect(status.state).toBe('saving');
  clock.advance(1);
  expect(seen).toEqual(['saving', 'unsaved']);
});

test('unsaved counts from the oldest edit that waits, not from the first that ever did', () => {
  append();
  clock.advance(1_500);
  append();
  commit(1);
  clock.advance(1_500);
  expect(status.state).toBe('saving');
  clock.advance(500 + TIMES.saved_settle_ms);
  expect(status.state).toBe('unsaved');
});

test('saved, saving, unsaved, saved: the whole way through an outage', () => {
  append();
  clock.advance(30_000);
  append();
  clock.advance(100);
  expect(seen).toEqual(['saving', 'unsaved']);
  commit();
  clock.advance(TIMES.saved_settle_ms);
  expect(seen).toEqual(['saving', 'unsaved', 'saved']);
  append();
  expect(status.state).toBe('saving');
});

test('a commit of a part leads back from unsaved to saving when the rest is young', () => {
  append();
  clock.advance(TIMES.unsaved_after_ms);
  append();
  commit(1);
  expect(seen).toEqual(['saving', 'unsaved', 'saving']);
});

describe('read_only', () => {
  test(`comes with ${LIMITS.backlog_revs_max} edits that wait, not with one fewer`, () => {
    append(LIMITS.backlog_revs_max - 1, 0);
    expect(status.state).toBe('saving');
    append(1, 0);
    expect(status.state).toBe('read_only');
  });

  test(`comes with ${LIMITS.backlog_bytes_max} bytes that wait, not with one fewer`, () => {
    append(1, LIMITS.backlog_bytes_max - 1);
    expect(status.state).toBe('saving');
    append(1, 1);
    expect(status.state).toBe('read_only');
  });

  test('stays until less than half of it waits', () => {
    const half = LIMITS.backlog_revs_max / 2;
    append(LIMITS.backlog_revs_max, 0);
    commit(half);
    expect(status.state).toBe('read_only');
    commit(half + 1);
    expect(status.state).toBe('saving');
    append(half - 10, 0);
    expect(status.state).toBe('saving');
  });

  test('comes when the node is full, if the document itself has something that waits, and goes with it', () => {
    node_full = true;
    status.update();
    expect(status.state).toBe('saved');
    append();
    expect(status.state).toBe('read_only');
    node_full = false;
    clock.advance(TIMES.saved_settle_ms);
    expect(status.state).toBe('saving');
    commit();
    clock.advance(TIMES.saved_settle_ms);
    expect(seen).toEqual(['read_only', 'saving', 'saved']);
  });

  test('ends when everything was written', () => {
    append(LIMITS.backlog_revs_max, 0);
    commit();
    clock.advance(TIMES.saved_settle_ms);
    expect(seen).toEqual(['read_only', 'saved']);
  });
});

test('after it was closed it says nothing more', () => {
  append();
  status.close();
  status.close();
  clock.advance(60_000);
  expect(seen).toEqual(['saving']);
});
