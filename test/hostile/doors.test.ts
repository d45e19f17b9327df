/** Who may do what on a socket: every door with every caller, on documents that are there, deleted, or never were. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { HOCUSPOCUS } from '../../src/protocol/hocuspocus-wire.ts';
import { TEXT_ROOT } from '../../src/protocol/snapshot.ts';
import { awarenessFrame } from '../../src/protocol/yjs-wire.ts';
import { messageFrame, RawHocuspocus, syncFrame, tokenFrame } from '../support/hocuspocus.ts';
import type { TestUser } from '../support/server.ts';
import { JsonClient, YjsClient } from '../support/sockets.ts';
import { CALLERS, type CallerName, type Callers, openCallers, refusalOf } from './callers.ts';
import { NO_SUCH_ID } from './routes.ts';

/** What somebody tries, in this order; what fails is answered by a code instead. */
type Deed = 'join' | 'edit' | 'presence' | '4401' | '4404';

let callers: Callers;

beforeAll(async () => {
  callers = await openCallers();
});
afterAll(async () => {
  expect(callers.server.errors()).toEqual([]);
  await callers.server.stop();
});

/** What this caller achieves on a document that is there. */
function allowed(name: CallerName): Deed[] {
  if (refusalOf(name) !== null) return ['4401'];
  if (name === 'viewer') return ['join', 'presence'];
  return name === 'editor' || name === 'owner' ? ['join', 'edit', 'presence'] : ['4404'];
}

/** Whose token a socket shows: for nobody none at all. */
const who = (user: TestUser) => (user.token === '' ? { token: null } : user);

/** Tries everything through one door. */
type Attempt = (user: TestUser, doc_id: string, mark: string) => Promise<Deed[]>;

async function onJson(user: TestUser, doc_id: string, mark: string): Promise<Deed[]> {
  const client = JsonClient.open(callers.server, doc_id, who(user));
  const entered = await Promise.race([client.closed, client.take('ready').catch(() => client.closed)]);
  if ('code' in entered) return [String(entered.code) as Deed];
  client.sendEdit([{ insert: mark }], client.ready.rev, 1);
  const said = await Promise.race([client.take('edit'), client.take('error')]);
  const edited = said.type === 'edit' && said.user_id === user.user_id;
  client.send({ type: 'presence', status: 'active', state: { mark } });
  await client.ping();
  await client.leave();
  return ['join', ...(edited ? (['edit'] as const) : []), 'presence'];
}

function updateWith(mark: string): Uint8Array {
  const doc = new Y.Doc();
  doc.getText(TEXT_ROOT).insert(0, mark);
  return Y.encodeStateAsUpdate(doc);
}

const awareness = (mark: string, client: number): Uint8Array =>
  awarenessFrame([{ client, clock: 1, state: JSON.stringify({ mark }) }]);

async function onYjs(user: TestUser, doc_id: string, mark: string): Promise<Deed[]> {
  const client = YjsClient.open(callers.server, doc_id, who(user));
  const entered = await Promise.race([client.closed, client.take('step1').catch(() => client.closed)]);
  if ('code' in entered) return [String(entered.code) as Deed];
  client.write((text) => text.insert(0, mark));
  client.send(awareness(mark, client.doc.clientID));
  await client.settled();
  const denied = client.of('denied').length > 0;
  await client.leave();
  return ['join', ...(denied ? [] : (['edit'] as const)), 'presence'];
}

async function onHocuspocus(user: TestUser, doc_id: string, mark: string): Promise<Deed[]> {
  const client = new RawHocuspocus(callers.server, [tokenFrame(doc_id, user.token)]);
  const entered = await Promise.race([client.take('denied'), client.take('step1')]);
  if (entered.kind === 'denied') {
    await client.leave();
    return [entered.text.slice(0, 4) as Deed];
  }
  client.send(syncFrame(doc_id, updateWith(mark)));
  client.send(messageFrame(doc_id, HOCUSPOCUS.AWARENESS, awareness(mark, 7).slice(1)));
  const { saved } = await client.take('status');
  await client.settled(doc_id);
  await client.leave();
  return ['join', ...(saved ? (['edit'] as const) : []), 'presence'];
}

const DOORS: readonly (readonly [string, Attempt])[] = [
  ['JSON', onJson],
  ['Yjs', onYjs],
  ['Hocuspocus', onHocuspocus],
];
const MATRIX = DOORS.flatMap(([door, attempt]) => CALLERS.map((name) => [door, name, attempt] as const));

describe('everybody can do what their role says, and the document and its people see just that', () => {
  test.each(MATRIX)('%s door, %s', async (_, name, attempt) => {
    const doc_id = await callers.sharedDocument();
    const { guest, server } = callers;
    const witness = await JsonClient.join(server, doc_id, guest);
    const mark = 'a mark of mine';
    expect(await attempt(callers.by_name[name], doc_id, mark)).toEqual(allowed(name));
    const is_member = allowed(name).includes('join');
    if (is_member) await witness.take('presence', ({ state }) => state.mark === mark);
    await witness.settled();
    expect((await server.text(guest, doc_id)).includes(mark)).toBe(allowed(name).includes('edit'));
    const seen = new Set(witness.of('presence').map(({ user_id }) => user_id));
    seen.delete(guest.user_id);
    expect([...seen]).toEqual(is_member ? [callers.by_name[name].user_id] : []);
    await witness.leave();
  });
});

describe('a deleted document and one that never was are closed with 4404 to whoever is signed in, and tell nobody else', () => {
  test.each(MATRIX)('%s door, %s', async (_, name, attempt) => {
    const doc_id = await callers.sharedDocument();
    await callers.server.call('DELETE', `/v1/documents/${doc_id}`, callers.by_name.owner.token);
    const told = refusalOf(name) === null ? ['4404'] : ['4401'];
    for (const id of [doc_id, NO_SUCH_ID])
      expect(await attempt(callers.by_name[name], id, 'mark')).toEqual(told as Deed[]);
  });
});

test.each(DOORS)('%s door: an id that is no UUID is 4404, whatever it looks like', async (_, attempt) => {
  const odd = ['x', '*', 'collab:*', "' OR 1=1 --", '%00', `${NO_SUCH_ID}0`, '%0d%0aSET x 1', '{id}', '[a-z]*'];
  for (const id of odd) expect([id, ...(await attempt(callers.by_name.owner, id, 'mark'))]).toEqual([id, '4404']);
});
