/** Share links, from outside: a whole server, real sockets beside it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { LIMITS } from '../src/protocol/limits.ts';
import { NOBODY, openRestWorld, type RestWorld, told } from './support/rest.ts';
import type { TestUser } from './support/server.ts';
import { JsonClient } from './support/sockets.ts';

let { server, owner, editor, viewer, stranger, call, done, refused } = {} as RestWorld;
let world: RestWorld;
/** A document that the first three have their roles on, and somebody without one; made anew for each test. */
let doc_id = '';
let guest: TestUser;
let guests = 0;

beforeAll(async () => {
  world = await openRestWorld();
  ({ server, owner, editor, viewer, stranger, call, done, refused } = world);
});
afterAll(() => world.close());
beforeEach(async () => {
  doc_id = await world.sharedDocument();
  guest = await server.register(`guest-${++guests}`);
});

const links = (rest = '') => `/v1/documents/${doc_id}/links${rest}`;
const make = (body: object = { role: 'viewer' }) => done(201, 'POST', links(), owner, body);
const redeem = (who: TestUser, token: string) => done(200, 'POST', '/v1/links/redeem', who, { token });
const refusal = async (who: TestUser, token: string) => (await call('POST', '/v1/links/redeem', who, { token })).body;
/** So many seconds from the server's now. */
const inSeconds = (seconds: number) => new Date(server.clock.now() + seconds * 1000).toISOString();

const NO_LINK = {
  success: false,
  error: { code: 'NOT_FOUND', message: 'There is no such link, or it is not good any more.' },
};

describe('a link', () => {
  test('shows its token once, and only its hash is kept', async () => {
    const made = await make({ role: 'editor' });
    expect(made).toEqual({
      id: expect.any(String),
      document_id: doc_id,
      role: 'editor',
      token: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      expires_at: null,
      created_at: expect.any(String),
    });
    const { token, ...shown } = made;
    expect(await done(200, 'GET', links(), owner)).toEqual({ items: [shown], next_cursor: null });
    const [row] = await server.sql`SELECT * FROM document_links WHERE id = ${made.id}`;
    expect(JSON.stringify(row)).not.toContain(token);
    expect(Buffer.from(row?.token_hash).toString('hex')).toBe(
      new Bun.CryptoHasher('sha256').update(token).digest('hex'),
    );
  });

  test('is listed newest first, page by page', async () => {
    const made = [await make(), await make(), await make()].map(({ id }) => id).reverse();
    const first = await done(200, 'GET', links('?limit=2'), owner);
    expect(first.items.map(({ id }: { id: string }) => id)).toEqual(made.slice(0, 2));
    const rest = await done(200, 'GET', links(`?limit=2&cursor=${first.next_cursor}`), owner);
    expect([rest.items.map(({ id }: { id: string }) => id), rest.next_cursor]).toEqual([made.slice(2), null]);
  });

  test('belongs to its owners alone: others are FORBIDDEN, those without a role see no document', async () => {
    const { id } = await make();
    const routes = [
      ['GET', links()],
      ['POST', links(), { role: 'viewer' }],
      ['DELETE', links(`/${id}`)],
    ] as const;
    for (const [method, path, body] of routes) {
      for (const who of [editor, viewer]) expect(await refused(method, path, who, body)).toBe('FORBIDDEN');
      expect(await refused(method, path, stranger, body)).toBe('NOT_FOUND');
      expect(await refused(method, path, null, body)).toBe('UNAUTHENTICATED');
    }
  });

  test.each([
    ['no role', {}, '/role'],
    ['the role of an owner', { role: 'owner' }, '/role'],
    ['a field too many', { role: 'viewer', token: 'mine' }, '/token'],
    ['a number as time', { role: 'viewer', expires_at: 4_102_444_800_000 }, '/expires_at'],
    ['a day without a time', { role: 'viewer', expires_at: '2099-01-01' }, '/expires_at'],
    ['a day that there is not', { role: 'viewer', expires_at: '2099-02-30T00:00:00Z' }, '/expires_at'],
    ['a time without a zone', { role: 'viewer', expires_at: '2099-01-01T00:00:00' }, '/expires_at'],
    ['a time that is over', { role: 'viewer', expires_at: '2020-01-01T00:00:00.000Z' }, '/expires_at'],
  ])('with %s is refused', async (_what, body, field) => {
    expect(await refused('POST', links(), owner, body)).toBe(`VALIDATION_ERROR ${field}`);
  });

  test('may say when it ends in any zone, or null for never', async () => {
    expect((await make({ role: 'viewer', expires_at: '2099-01-01T02:00:00+02:00' })).expires_at).toBe(
      '2099-01-01T00:00:00.000Z',
    );
    expect((await make({ role: 'viewer', expires_at: null })).expires_at).toBeNull();
  });

  test(`is one of at most links_per_document_max (${LIMITS.links_per_document_max}) of its document`, async () => {
    for (let made = 0; made < LIMITS.links_per_document_max; made++) await make();
    expect(await refused('POST', links(), owner, { role: 'viewer' })).toBe('CONFLICT');
    const { items } = await done(200, 'GET', links(), owner);
    await done(200, 'DELETE', links(`/${items[0].id}`), owner);
    await make();
  });
});

describe('redeeming', () => {
  test('gives the permission, and the same again when it is repeated', async () => {
    const { token } = await make({ role: 'editor' });
    const given = await redeem(guest, token);
    expect(given).toMatchObject({ document_id: doc_id, user_id: guest.user_id, email: guest.email, role: 'editor' });
    expect(await redeem(guest, token)).toEqual(given);
    await done(200, 'POST', `/v1/documents/${doc_id}/edits`, guest, { changes: { delta: [{ insert: 'a' }] } });
  });

  test('by many at one moment gives each of them one permission', async () => {
    const { token } = await make();
    const given = await Promise.all(Array.from({ length: 8 }, () => redeem(guest, token)));
    expect(new Set(given.map((permission) => JSON.stringify(permission))).size).toBe(1);
  });

  test('raises a role and never lowers one', async () => {
    const [view, edit] = [await make({ role: 'viewer' }), await make({ role: 'editor' })];
    for (const [who, role] of [
      [owner, 'owner'],
      [editor, 'editor'],
      [viewer, 'viewer'],
    ] as const)
      expect((await redeem(who, view.token)).role).toBe(role);
    expect((await redeem(viewer, edit.token)).role).toBe('editor');
    expect((await redeem(owner, edit.token)).role).toBe('owner');
  });

  test('tells open sockets of the new role at once', async () => {
    const { token } = await make({ role: 'editor' });
    const client = await JsonClient.join(server, doc_id, viewer);
    await redeem(viewer, token);
    expect(await client.take('role')).toMatchObject({ role: 'editor' });
    await client.edit([{ insert: 'now I may' }]);
    await client.leave();
  });

  test('says the same of a link that is unknown, expired, revoked, or of a deleted document', async () => {
    expect(await refusal(guest, 'unknown')).toEqual(NO_LINK);
    const revoked = await make();
    await done(200, 'DELETE', links(`/${revoked.id}`), owner);
    expect(await refusal(guest, revoked.token)).toEqual(NO_LINK);
    const ended = await make({ role: 'viewer', expires_at: inSeconds(60) });
    const deleted = await make();
    await server.later(59_000);
    expect((await redeem(guest, ended.token)).role).toBe('viewer');
    await server.later(1_000);
    expect(await refusal(stranger, ended.token)).toEqual(NO_LINK);
    expect((await done(200, 'GET', links(), owner)).items).toHaveLength(2);
    await done(200, 'DELETE', `/v1/documents/${doc_id}`, owner);
    expect(await refusal(guest, deleted.token)).toEqual(NO_LINK);
    await done(200, 'POST', `/v1/documents/${doc_id}/undelete`, owner);
    expect((await redeem(guest, deleted.token)).role).toBe('viewer');
  });

  test('is for those who are signed in, with a token and nothing else', async () => {
    const { token } = await make();
    expect(await refused('POST', '/v1/links/redeem', null, { token })).toBe('UNAUTHENTICATED');
    for (const wrong of ['', ' ', 5, null, 'x'.repeat(513)])
      expect(await refused('POST', '/v1/links/redeem', guest, { token: wrong })).toBe('VALIDATION_ERROR /token');
    expect(await refused('POST', '/v1/links/redeem', guest, { token, role: 'owner' })).toBe('VALIDATION_ERROR /role');
  });

  test('again is how somebody whose role was taken away comes back, until the link is revoked too', async () => {
    const link = await make();
    const permission = `/v1/documents/${doc_id}/permissions/${guest.user_id}`;
    await redeem(guest, link.token);
    await done(200, 'DELETE', permission, owner);
    await redeem(guest, link.token);
    await done(200, 'DELETE', links(`/${link.id}`), owner);
    // Revoking ends no role that the link gave.
    await done(200, 'GET', `/v1/documents/${doc_id}`, guest);
    await done(200, 'DELETE', permission, owner);
    expect(await refusal(guest, link.token)).toEqual(NO_LINK);
  });
});

describe('revoking', () => {
  test('is done once, and only where the link belongs', async () => {
    const { id } = await make();
    const other = await world.sharedDocument();
    expect(await refused('DELETE', `/v1/documents/${other}/links/${id}`, owner)).toBe('NOT_FOUND');
    expect(await refused('DELETE', links(`/${NOBODY}`), owner)).toBe('NOT_FOUND');
    expect(await refused('DELETE', links('/5'), owner)).toBe('VALIDATION_ERROR /link_id');
    expect(await done(200, 'DELETE', links(`/${id}`), owner)).toEqual({});
    expect(await refused('DELETE', links(`/${id}`), owner)).toBe('NOT_FOUND');
  });
});

test('the audit tells who made, redeemed and revoked a link, each once and without the token', async () => {
  const link = await make({ role: 'editor', expires_at: '2099-01-01T00:00:00Z' });
  await redeem(viewer, link.token);
  await redeem(viewer, link.token);
  await done(200, 'DELETE', links(`/${link.id}`), owner);
  const told_of = await told(server, link.id);
  const source = { document_id: doc_id, ip: '127.0.0.1', request_id: expect.any(String) };
  expect(told_of).toHaveLength(3);
  expect(told_of).toEqual(
    expect.arrayContaining([
      {
        ...source,
        action: 'link.created',
        actor_id: owner.user_id,
        details: { role: 'editor', expires_at: '2099-01-01T00:00:00.000Z' },
      },
      { ...source, action: 'link.redeemed', actor_id: viewer.user_id, details: { from: 'viewer', to: 'editor' } },
      { ...source, action: 'link.revoked', actor_id: owner.user_id, details: { role: 'editor' } },
    ]),
  );
  expect(JSON.stringify(told_of)).not.toContain(link.token);
});
