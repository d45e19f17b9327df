import { expect, test } from 'bun:test';
import { ROLES, readClientMessage, roleAllows } from './messages.ts';

test('a role allows what it and every lesser role may do', () => {
  expect(ROLES.map((role) => ROLES.filter((needed) => roleAllows(role, needed)))).toEqual([
    ['viewer'],
    ['viewer', 'editor'],
    ['viewer', 'editor', 'owner'],
  ]);
});

test('each message of the contract is read as it came', () => {
  const id = '0198c5c3-0b1e-7f43-a1c9-5d20c7f3a9e4';
  const messages = [
    { type: 'edit', changes: { base_rev: 0, delta: [{ insert: 'x' }] }, seq: 1 },
    {
      type: 'edit',
      doc_id: id,
      user_id: id.toUpperCase(),
      timestamp: 'whenever',
      changes: { base_rev: Number.MAX_SAFE_INTEGER, delta: 'for parseDelta to judge' },
      seq: Number.MAX_SAFE_INTEGER,
    },
    { type: 'presence', status: 'active', state: {} },
    { type: 'presence', status: 'active', state: { cursor: null, anything: [1] } },
    { type: 'presence', doc_id: id, status: 'active', state: { cursor: { index: 0, length: 3 } } },
    { type: 'auth', token: 'x' },
    { type: 'ping' },
  ];
  for (const message of messages) {
    const read = readClientMessage(message);
    expect(read).toEqual({ ok: true, message: message as never });
    if (read.ok) expect(read.message as unknown).toBe(message);
  }
});

test('what is no message of the contract is told why, and keeps its seq when that is a number', () => {
  const refused = (value: unknown) => {
    const read = readClientMessage(value);
    if (read.ok) throw new Error('it was read');
    return { seq: read.seq, paths: read.issues.map(({ path }) => path) };
  };
  for (const value of [undefined, null, 7, 'edit', [], {}, { type: 'constructor' }, { type: ['edit'] }])
    expect(refused(value)).toEqual({ seq: null, paths: ['/type'] });
  expect(refused({ type: 'edit', seq: 3 })).toEqual({ seq: 3, paths: ['/changes'] });
  expect(refused({ type: 'edit', changes: { base_rev: 0, delta: [] }, seq: 'x' }).seq).toBeNull();
  expect(refused({ type: 'edit', changes: { base_rev: 0 }, seq: 1 }).paths).toEqual(['/changes/delta']);
  expect(refused({ type: 'ping', extra: 1 }).paths).toEqual(['/extra']);
  expect(refused({ type: 'auth', token: '' }).paths).toEqual(['/token']);
});
