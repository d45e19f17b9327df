import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.ts';
import { addPerson } from '../../test/support/people.ts';
import type { Signal } from '../actors/gateway.ts';
import { ManualClock } from '../base/clock.ts';
import { systemRandom } from '../base/random.ts';
import type { Role } from '../protocol/messages.ts';
import { insertDocument, setDeleted } from '../store/documents.ts';
import {
  changePermission,
  grantPermission,
  listPermissions,
  type PermissionParts,
  revokePermission,
} from './permissions.ts';

const SOURCE = { ip: '192.0.2.1', request_id: 'a-request' };

let database: TestDatabase;
let parts: PermissionParts;
const clock = new ManualClock();
const signals: Signal[] = [];
let people = 0;
/** A document of its own for each test, and its owner. */
let [doc_id, owner_id] = ['', ''];

beforeAll(async () => {
  database = await createTestDatabase();
  parts = { sql: database.sql, clock, random: systemRandom, signals: { send: (signal) => void signals.push(signal) } };
});
afterAll(() => database.drop());
beforeEach(async () => {
  clock.advance(1_000);
  owner_id = (await person()).id;
  doc_id = systemRandom.id();
  await insertDocument(database.sql, { id: doc_id, title: 'Minutes', owner_id, at: now(), head_rev: 0 });
  signals.length = 0;
});

const now = () => new Date(clock.now());

async function person(): Promise<{ id: string; email: string }> {
  const name = `person-${++people}`;
  return { id: await addPerson(database.sql, name), email: `${name}@example.org` };
}

/** Somebody with a role on the document, given a second after everything before. */
async function member(role: Role): Promise<string> {
  clock.advance(1_000);
  const { id, email } = await person();
  await grantPermission(parts, owner_id, doc_id, { email, role }, SOURCE);
  signals.length = 0;
  return id;
}

async function rolesNow(): Promise<Record<string, Role>> {
  const rows = await database.sql<{ user_id: string; role: Role }[]>`
    SELECT user_id, role FROM document_permissions WHERE document_id = ${doc_id}`;
  return Object.fromEntries(rows.map((row) => [row.user_id, row.role]));
}

async function shownOwner(): Promise<string | undefined> {
  const [row] = await database.sql<{ owner_id: string }[]>`SELECT owner_id FROM documents WHERE id = ${doc_id}`;
  return row?.owner_id;
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: { code: string }) => error.code,
  );

describe('giving a role', () => {
  test('makes a permission, and the person hears of it', async () => {
    const { id, email } = await person();
    expect(
      await grantPermission(parts, owner_id, doc_id, { email: email.toUpperCase(), role: 'editor' }, SOURCE),
    ).toEqual({
      created: true,
      permission: {
        document_id: doc_id,
        user_id: id,
        display_name: email.split('@')[0] ?? '',
        email,
        role: 'editor',
        created_at: now().toISOString(),
        updated_at: now().toISOString(),
      },
    });
    expect(signals).toEqual([{ type: 'role', doc_id, user_id: id, role: 'editor' }]);
  });

  test('to somebody who has one changes it and keeps when they came', async () => {
    const { id, email } = await person();
    const { permission } = await grantPermission(parts, owner_id, doc_id, { email, role: 'editor' }, SOURCE);
    clock.advance(5_000);
    const again = await grantPermission(parts, owner_id, doc_id, { email, role: 'viewer' }, SOURCE);
    expect(again).toEqual({
      created: false,
      permission: { ...permission, role: 'viewer', updated_at: now().toISOString() },
    });
    expect(signals.at(-1)).toEqual({ type: 'role', doc_id, user_id: id, role: 'viewer' });
  });

  test('that somebody has already changes nothing and tells nobody', async () => {
    const { email } = await person();
    const { permission } = await grantPermission(parts, owner_id, doc_id, { email, role: 'editor' }, SOURCE);
    signals.length = 0;
    clock.advance(5_000);
    expect(await grantPermission(parts, owner_id, doc_id, { email, role: 'editor' }, SOURCE)).toEqual({
      created: false,
      permission,
    });
    expect(signals).toEqual([]);
  });

  test('to an e-mail that nobody has is NOT_FOUND', async () => {
    expect(
      await codeOf(grantPermission(parts, owner_id, doc_id, { email: 'nobody@example.org', role: 'viewer' }, SOURCE)),
    ).toBe('NOT_FOUND');
  });

  test('takes an owner; an editor is not even told whether the e-mail is known', async () => {
    const [editor_id, { email }, stranger] = [await member('editor'), await person(), await person()];
    const asked = { email, role: 'viewer' } as const;
    expect(await codeOf(grantPermission(parts, editor_id, doc_id, asked, SOURCE))).toBe('FORBIDDEN');
    expect(
      await codeOf(grantPermission(parts, editor_id, doc_id, { ...asked, email: 'nobody@example.org' }, SOURCE)),
    ).toBe('FORBIDDEN');
    expect(await codeOf(grantPermission(parts, stranger.id, doc_id, asked, SOURCE))).toBe('NOT_FOUND');
  });

  test('on a deleted document is NOT_FOUND, for its owner too', async () => {
    const { email } = await person();
    await setDeleted(database.sql, doc_id, true, now());
    expect(await codeOf(grantPermission(parts, owner_id, doc_id, { email, role: 'viewer' }, SOURCE))).toBe('NOT_FOUND');
  });
});

describe('changing a role', () => {
  test('takes an owner, and somebody who has one', async () => {
    const [editor_id, stranger] = [await member('editor'), await person()];
    expect(await codeOf(changePermission(parts, editor_id, doc_id, editor_id, 'owner', SOURCE))).toBe('FORBIDDEN');
    expect(await codeOf(changePermission(parts, owner_id, doc_id, stranger.id, 'viewer', SOURCE))).toBe('NOT_FOUND');
    expect(await changePermission(parts, owner_id, doc_id, editor_id, 'viewer', SOURCE)).toMatchObject({
      user_id: editor_id,
      role: 'viewer',
    });
    expect(signals).toEqual([{ type: 'role', doc_id, user_id: editor_id, role: 'viewer' }]);
  });

  test('the last owner cannot be demoted, by either way', async () => {
    await member('editor');
    const [row] = await database.sql<{ email: string }[]>`SELECT email FROM users WHERE id = ${owner_id}`;
    expect(await codeOf(changePermission(parts, owner_id, doc_id, owner_id, 'editor', SOURCE))).toBe('CONFLICT');
    expect(
      await codeOf(grantPermission(parts, owner_id, doc_id, { email: row?.email ?? '', role: 'viewer' }, SOURCE)),
    ).toBe('CONFLICT');
    expect((await rolesNow())[owner_id]).toBe('owner');
    expect(signals).toEqual([]);
  });

  test('an owner who is demoted hands the document on to the owner of longest standing', async () => {
    const [first_id] = [await member('owner'), await member('owner')];
    await changePermission(parts, owner_id, doc_id, owner_id, 'viewer', SOURCE);
    expect(await shownOwner()).toBe(first_id);
  });

  test('another owner who is demoted leaves the document where it is', async () => {
    const other_id = await member('owner');
    await changePermission(parts, owner_id, doc_id, other_id, 'viewer', SOURCE);
    expect(await shownOwner()).toBe(owner_id);
  });
});

describe('taking a role away', () => {
  test('takes an owner, and somebody who has one', async () => {
    const [editor_id, viewer_id, stranger] = [await member('editor'), await member('viewer'), await person()];
    expect(await codeOf(revokePermission(parts, editor_id, doc_id, viewer_id, SOURCE))).toBe('FORBIDDEN');
    expect(await codeOf(revokePermission(parts, owner_id, doc_id, stranger.id, SOURCE))).toBe('NOT_FOUND');
    await revokePermission(parts, owner_id, doc_id, viewer_id, SOURCE);
    expect(await rolesNow()).toEqual({ [owner_id]: 'owner', [editor_id]: 'editor' });
    expect(signals).toEqual([{ type: 'role', doc_id, user_id: viewer_id, role: null }]);
  });

  test('everybody may leave, but a stranger cannot', async () => {
    const [viewer_id, stranger] = [await member('viewer'), await person()];
    await revokePermission(parts, viewer_id, doc_id, viewer_id, SOURCE);
    expect(await rolesNow()).toEqual({ [owner_id]: 'owner' });
    expect(await codeOf(revokePermission(parts, stranger.id, doc_id, stranger.id, SOURCE))).toBe('NOT_FOUND');
  });

  test('the last owner cannot go; one of two can, and the document is shown under the other', async () => {
    expect(await codeOf(revokePermission(parts, owner_id, doc_id, owner_id, SOURCE))).toBe('CONFLICT');
    const other_id = await member('owner');
    await revokePermission(parts, owner_id, doc_id, owner_id, SOURCE);
    expect(await rolesNow()).toEqual({ [other_id]: 'owner' });
    expect(await shownOwner()).toBe(other_id);
  });

  test('of two owners who go at the same moment one stays, every time', async () => {
    for (let round = 0; round < 20; round++) {
      const other_id = await member('owner');
      const pair = [owner_id, other_id];
      const [one, two] = await Promise.all(pair.map((id) => codeOf(revokePermission(parts, id, doc_id, id, SOURCE))));
      expect([one, two].sort()).toEqual(['CONFLICT', 'done']);
      const left = Object.entries(await rolesNow());
      expect(left).toEqual([[expect.any(String), 'owner']]);
      owner_id = left[0]?.[0] ?? '';
      expect(await shownOwner()).toBe(owner_id);
    }
  });

  test('of two owners who demote each other at the same moment one stays', async () => {
    const other_id = await member('owner');
    const outcomes = await Promise.all([
      codeOf(changePermission(parts, owner_id, doc_id, other_id, 'viewer', SOURCE)),
      codeOf(changePermission(parts, other_id, doc_id, owner_id, 'viewer', SOURCE)),
    ]);
    // The second one has lost the right to, by the time it holds the lock.
    expect(outcomes.sort()).toEqual(['FORBIDDEN', 'done']);
    expect(Object.values(await rolesNow()).sort()).toEqual(['owner', 'viewer']);
  });
});

describe('the list', () => {
  test('shows owners, then editors, then viewers, each by how long they have been there, page by page', async () => {
    const [late_viewer, editor, other_owner] = [await member('viewer'), await member('editor'), await member('owner')];
    const later_viewer = await member('viewer');
    const expected = [owner_id, other_owner, editor, late_viewer, later_viewer];
    const seen: string[] = [];
    let after: Parameters<typeof listPermissions>[3]['after'] = null;
    for (let page = 0; page < 5; page++) {
      const [found] = await listPermissions(parts, late_viewer, doc_id, { after, count: 1 });
      seen.push(found?.user_id ?? '');
      if (found !== undefined) after = { ...found, created_at: new Date(found.created_at) };
    }
    expect(seen).toEqual(expected);
    expect(await listPermissions(parts, late_viewer, doc_id, { after, count: 1 })).toEqual([]);
  });

  test('is for those who have a role', async () => {
    const { id } = await person();
    expect(await codeOf(listPermissions(parts, id, doc_id, { after: null, count: 1 }))).toBe('NOT_FOUND');
  });
});
