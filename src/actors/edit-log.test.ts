import { beforeEach, describe, expect, test } from 'bun:test';
import { emptyWindow, first, HandLedger } from '../../test/support/core.ts';
import { seededRandom } from '../base/random.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { LIMITS } from '../protocol/limits.ts';
import { type Author, EditLog, editEvent, entryEvent } from './edit-log.ts';
import type { DeltaEdit } from './entries.ts';
import { placeEdit } from './place-edit.ts';
import { type Change, EMPTY_STATE, Replica } from './replica.ts';
import { serverClientId } from './server-ids.ts';
import { EditWindow } from './window.ts';

const random = seededRandom(41);
const DOC = random.id();
const AT = Date.UTC(2026, 10, 23, 2, 4, 5, 6);

let ledger: HandLedger;
let replica: Replica;
let log: EditLog;

beforeEach(() => {
  ledger = new HandLedger(DOC, () => 0);
  replica = new Replica(DOC, serverClientId(DOC, 1), EMPTY_STATE, []);
  log = new EditLog(DOC, ledger, new EditWindow(0));
});

const author = (more: Partial<Author> = {}): Author => ({
  user_id: random.id(),
  client_id: random.id(),
  seq: null,
  ...more,
});

/** Applies and records a delta, as the runtime does. */
function write(delta: DeltaOps, by: Author = author()): void {
  log.record(replica.applyDelta(delta), by, AT);
}

const change = (delta: DeltaOps): Change => ({ update: Uint8Array.of(1, 2), delta, amended: false });

describe('record', () => {
  test('gives revisions from the head on, one after another, to the journal and to the window alike', () => {
    const by = author({ seq: 1 });
    const recorded = log.record(change([{ insert: 'a' }]), by, AT);
    log.record(change([]), author(), AT);
    expect(log.head).toBe(2);
    expect(recorded.rev).toBe(1);
    expect(ledger.all.map((row) => row.rev)).toEqual([1, 2]);
    expect(first(ledger.all)).toEqual({
      rev: 1,
      ...by,
      at: AT,
      update: Uint8Array.of(1, 2),
      delta: '[{"insert":"a"}]',
    });
    expect(log.window.at(1)).toMatchObject({ rev: 1, epoch: 1, ...by, at: AT, delta: [{ insert: 'a' }] });
  });

  test('the event says what the contract lists, and the window gives the same again', () => {
    const by = author({ seq: 3 });
    const { event } = log.record(change([{ insert: 'a"\n\u2028😀' }]), by, AT);
    expect(JSON.parse(event)).toEqual({
      type: 'edit',
      user_id: by.user_id,
      doc_id: DOC,
      client_id: by.client_id,
      seq: 3,
      changes: { rev: 1, delta: [{ insert: 'a"\n\u2028😀' }] },
      timestamp: '2026-11-23T02:04:05.006Z',
    });
    const kept = log.window.at(1);
    expect(kept && entryEvent(DOC, kept)).toBe(event);
  });

  test('an event without a seq says null', () => {
    expect(JSON.parse(editEvent(DOC, author(), 1, '[]', 0))).toMatchObject({ seq: null });
  });
});

describe('the last seq of a client', () => {
  test('is unknown until it was learnt, and then never goes back', () => {
    const { user_id, client_id } = author();
    expect(log.knownSeq(user_id, client_id)).toBeNull();
    log.noteSeq(user_id, client_id, 0);
    expect(log.knownSeq(user_id, client_id)).toBe(0);
    log.noteSeq(user_id, client_id, 5);
    log.noteSeq(user_id, client_id, 3);
    expect(log.knownSeq(user_id, client_id)).toBe(5);
    expect(log.knownSeq(random.id(), client_id)).toBeNull();
  });

  test(`is remembered for ${LIMITS.clients_remembered_max} clients; with one more the one that was quiet longest is forgotten`, () => {
    const max = LIMITS.clients_remembered_max;
    for (let n = 0; n < max; n++) log.noteSeq('u', `c${n}`, n + 1);
    log.noteSeq('u', 'c0', 1);
    expect(log.knownSeq('u', 'c1')).toBe(2);
    log.noteSeq('u', 'one more', 1);
    expect([log.knownSeq('u', 'c0'), log.knownSeq('u', 'c1'), log.knownSeq('u', 'c2')]).toEqual([1, null, 3]);
  });

  test('is not forgotten while anything waits for the disk, where it could not be found again', () => {
    const max = LIMITS.clients_remembered_max;
    for (let n = 0; n < max; n++) log.noteSeq('u', `c${n}`, 1);
    log.record(change([]), author({ seq: 1 }), AT);
    log.noteSeq('u', 'another', 1);
    expect(log.knownSeq('u', 'c0')).toBe(1);
    ledger.commit();
    for (let n = 0; n < 5; n++) log.noteSeq('u', `more ${n}`, 1);
    expect(log.knownSeq('u', 'c0')).toBeNull();
  });

  test('is not forgotten of somebody who is connected, however many others come and go', () => {
    const max = LIMITS.clients_remembered_max;
    log.noteSeq('u', 'connected', 7);
    log.keep('u', 'connected');
    for (let n = 0; n <= max + 10; n++) log.noteSeq('u', `c${n}`, 1);
    expect(log.knownSeq('u', 'connected')).toBe(7);
    expect(log.knownSeq('u', 'c0')).toBeNull();
    log.letGo('u', 'connected');
    for (let n = 0; n <= 10; n++) log.noteSeq('u', `d${n}`, 1);
    expect(log.knownSeq('u', 'connected')).toBeNull();
  });
});

describe('where an edit belongs', () => {
  const edit = (delta: DeltaOps, more: Partial<DeltaEdit> = {}): DeltaEdit => ({
    ...author(),
    base_rev: null,
    delta,
    door: 'json',
    ...more,
  });
  const place = (one: DeltaEdit) => placeEdit(log, replica, one);
  const refusal = (one: DeltaEdit): unknown => {
    const placed = place(one);
    return placed.kind === 'refused' ? [placed.error.code, placed.error.message] : placed;
  };

  test('an edit of the head is applied as it is; no base means the head', () => {
    write([{ insert: 'abc' }]);
    for (const base_rev of [null, 1])
      expect(place(edit([{ retain: 3 }, { insert: 'd' }], { base_rev }))).toEqual({
        kind: 'new',
        delta: [{ retain: 3 }, { insert: 'd' }],
      });
  });

  test('an older edit is carried over what it missed; nothing may be left of it', () => {
    write([{ insert: 'abc' }]);
    write([{ insert: '12' }]);
    write([{ retain: 2 }, { delete: 3 }]);
    expect(place(edit([{ retain: 3 }, { insert: 'd' }], { base_rev: 1 }))).toMatchObject({
      delta: [{ retain: 2 }, { insert: 'd' }],
    });
    expect(place(edit([{ delete: 3 }], { base_rev: 1 }))).toEqual({ kind: 'new', delta: [] });
  });

  test('the end is that of the text at its base, not of the text now', () => {
    write([{ insert: 'abc' }]);
    write([{ insert: '0123456789' }]);
    expect(place(edit([{ retain: 3 }, { insert: 'd' }], { base_rev: 1 }))).toMatchObject({ kind: 'new' });
    expect(refusal(edit([{ retain: 4 }, { insert: 'd' }], { base_rev: 1 }))).toEqual([
      'VALIDATION_ERROR',
      expect.stringContaining('the text has 3 code units at rev 1') as unknown,
    ]);
    write([{ delete: 12 }]);
    expect(place(edit([{ retain: 13 }, { insert: 'd' }], { base_rev: 2 }))).toMatchObject({ kind: 'new' });
    expect(refusal(edit([{ delete: 2 }], { base_rev: 3 }))).toEqual([
      'VALIDATION_ERROR',
      expect.stringContaining('reaches past the end') as unknown,
    ]);
  });

  test('a base beyond the head or older than the window is stale', () => {
    write([{ insert: 'abc' }]);
    expect(refusal(edit([{ insert: 'd' }], { base_rev: 2 }))).toEqual([
      'STALE_REVISION',
      expect.stringContaining('beyond the head, 1') as unknown,
    ]);
    write([{ insert: 'd' }]);
    emptyWindow(log.window);
    expect(refusal(edit([{ insert: 'd' }], { base_rev: 1 }))).toEqual([
      'STALE_REVISION',
      expect.stringContaining('older than 2') as unknown,
    ]);
  });

  test('a surrogate pair is never split, whether the edit is new or late', () => {
    write([{ insert: 'a😀b' }]);
    const splitting: DeltaOps[] = [
      [{ retain: 2 }, { insert: 'x' }],
      [{ retain: 1 }, { delete: 1 }],
      [{ retain: 2 }, { delete: 1 }],
      [{ retain: 2, attributes: { bold: true } }],
    ];
    for (const delta of splitting)
      expect(refusal(edit(delta))).toEqual([
        'VALIDATION_ERROR',
        expect.stringContaining('splits a surrogate pair') as unknown,
      ]);
    write([{ insert: 'xyz' }]);
    for (const delta of splitting)
      expect(refusal(edit(delta, { base_rev: 1 }))).toEqual([
        'VALIDATION_ERROR',
        expect.stringContaining('splits a surrogate pair') as unknown,
      ]);
    expect(place(edit([{ retain: 1 }, { delete: 2 }], { base_rev: 1 }))).toMatchObject({ kind: 'new' });
  });

  test('a seq that is held already is a duplicate, whatever its base has become', () => {
    const by = author({ seq: 1 });
    write([{ insert: 'abc' }], by);
    emptyWindow(log.window);
    expect(place(edit([{ insert: 'abc' }], { ...by, base_rev: 0 }))).toEqual({ kind: 'duplicate', seq: 1 });
    expect(place(edit([{ retain: 999 }, { insert: 'abc' }], { ...by, base_rev: 999 }))).toEqual({
      kind: 'duplicate',
      seq: 1,
    });
  });

  test('the next seq is taken, one that skips is refused and names the next', () => {
    const by = author({ seq: 1 });
    write([{ insert: 'abc' }], by);
    expect(place(edit([{ insert: 'd' }], { ...by, seq: 2 }))).toMatchObject({ kind: 'new' });
    expect(refusal(edit([{ insert: 'd' }], { ...by, seq: 3 }))).toEqual([
      'VALIDATION_ERROR',
      expect.stringContaining('the next is 2') as unknown,
    ]);
    expect(place(edit([{ insert: 'd' }], { ...author(), seq: 1 }))).toMatchObject({ kind: 'new' });
    expect(refusal(edit([{ insert: 'd' }], { ...author(), seq: 2 }))).toEqual([
      'VALIDATION_ERROR',
      expect.stringContaining('the next is 1') as unknown,
    ]);
  });

  test('one client_id of two users is two clients', () => {
    const by = author({ seq: 1 });
    write([{ insert: 'abc' }], by);
    expect(place(edit([{ insert: 'd' }], { ...by, user_id: random.id() }))).toMatchObject({ kind: 'new' });
  });
});
