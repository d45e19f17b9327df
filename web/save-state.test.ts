import { describe, expect, test } from 'bun:test';
import {
  OFFLINE_AFTER_MS,
  type SaveFacts,
  SETTLED_AFTER_MS,
  saveWord,
  UNSAVED_AFTER_MS,
  Unacked,
} from './save-state.ts';

describe('an edit waits for the disk', () => {
  test('until the frame that carried it is acknowledged, and no earlier one', () => {
    const unacked = new Unacked();
    unacked.opened();
    unacked.sent(true);
    expect(unacked.since).toBeNull();
    unacked.sent(false);
    unacked.edited(10);
    unacked.sent(false);
    unacked.edited(20);
    unacked.acked(1);
    expect(unacked.since).toBe(10);
    unacked.acked(2);
    expect(unacked.since).toBe(20);
    unacked.acked(3);
    expect(unacked.since).toBeNull();
  });

  test('made offline: until the whole difference that the next connection sends is acknowledged', () => {
    const unacked = new Unacked();
    unacked.edited(10);
    unacked.edited(11);
    unacked.opened();
    unacked.sent(false);
    unacked.edited(30);
    unacked.acked(1);
    expect(unacked.since).toBe(10);
    unacked.sent(true);
    unacked.acked(1);
    expect(unacked.since).toBe(10);
    unacked.acked(2);
    expect(unacked.since).toBeNull();
  });

  test('sent on a connection that is gone: as if it had never been sent', () => {
    const unacked = new Unacked();
    unacked.opened();
    unacked.sent(true);
    unacked.sent(false);
    unacked.edited(10);
    unacked.opened();
    unacked.acked(2);
    expect(unacked.since).toBe(10);
    unacked.sent(true);
    unacked.acked(1);
    expect(unacked.since).toBeNull();
  });

  test('that the provider could not send, on a socket that was closing: not covered by acknowledgements of that socket', () => {
    const unacked = new Unacked();
    unacked.opened();
    unacked.sent(true);
    unacked.edited(10);
    unacked.acked(1);
    expect(unacked.since).toBe(10);
  });
});

describe('the indicator', () => {
  const facts: SaveFacts = {
    now: 10_000,
    may_edit: true,
    opened: true,
    lost_since: null,
    unacked_since: null,
    settled_at: 0,
  };
  const word = (change: Partial<SaveFacts>) => saveWord({ ...facts, ...change });

  test('says Saved only when nothing waits, and a moment later', () => {
    expect(word({})).toEqual({ word: 'saved', again_ms: null });
    expect(word({ settled_at: 9_999 })).toEqual({ word: 'saving', again_ms: SETTLED_AFTER_MS - 1 });
    expect(word({ unacked_since: 9_999 })).toEqual({ word: 'saving', again_ms: UNSAVED_AFTER_MS - 1 });
  });

  test('says Unsaved when an edit has waited for two seconds', () => {
    expect(word({ unacked_since: 10_000 - UNSAVED_AFTER_MS }).word).toBe('unsaved');
    expect(word({ unacked_since: 10_001 - UNSAVED_AFTER_MS }).word).toBe('saving');
  });

  test('says Offline when the connection stays away for a second, and not at a short change of sockets', () => {
    expect(word({ lost_since: 9_999 })).toEqual({ word: 'saved', again_ms: OFFLINE_AFTER_MS - 1 });
    expect(word({ lost_since: 9_999, unacked_since: 9_999 }).word).toBe('saving');
    expect(word({ lost_since: 10_000 - OFFLINE_AFTER_MS }).word).toBe('offline');
    expect(word({ lost_since: 10_000 - OFFLINE_AFTER_MS, may_edit: false }).word).toBe('offline');
  });

  test('says Read only to those who may not edit, and nothing about a text that has not come', () => {
    expect(word({ may_edit: false })).toEqual({ word: 'read_only', again_ms: null });
    expect(word({ opened: false, may_edit: false }).word).toBe('opening');
  });
});
