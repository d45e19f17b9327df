/** Stock y-websocket providers, as they come out of the package: docs/PROTOCOL.md, "Stock providers". */
import { afterAll, afterEach, beforeAll, expect, spyOn, test } from 'bun:test';
import * as Y from 'yjs';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { JsonClient } from '../../test/support/sockets.ts';
import { StockClient } from '../../test/support/stock-client.ts';
import { until } from '../../test/support/until.ts';
import { CLOSE } from '../protocol/close.ts';
import { TIMES } from '../protocol/limits.ts';

let server: TestServer;
let ada: TestUser;
let bob: TestUser;
let eve: TestUser;
const clients: StockClient[] = [];

beforeAll(async () => {
  server = await openTestServer();
  ada = await server.register('ada');
  bob = await server.register('bob');
  eve = await server.register('eve');
});

afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
});

afterAll(async () => {
  await server.stop();
  expect(server.errors()).toEqual([]);
});

/** A document that bob may edit and eve may see. */
async function shared(text?: string): Promise<string> {
  const doc_id = await server.createDocument(ada, text);
  await server.share(ada, doc_id, bob, 'editor');
  await server.share(ada, doc_id, eve, 'viewer');
  return doc_id;
}

/** A provider that has synchronised. */
async function stock(doc_id: string, user: TestUser, doc?: Y.Doc): Promise<StockClient> {
  const client = new StockClient(server, doc_id, user, doc);
  clients.push(client);
  await client.synced();
  return client;
}

/** All that is in the document. Its encoding may differ: Yjs joins neighbours as they come. */
const contents = ({ doc, text }: StockClient): unknown => [
  Y.encodeStateVector(doc),
  text.toDelta(),
  doc.getMap('settings').toJSON(),
  doc.getArray('list').toJSON(),
];
const same = (one: StockClient, two: StockClient): boolean => Bun.deepEquals(contents(one), contents(two));

test('Y40: two providers synchronise and converge, formatting, embeds, emoji and other roots included', async () => {
  const doc_id = await shared('start');
  const [one, two] = [await stock(doc_id, ada), await stock(doc_id, bob)];
  expect(one.text.toString()).toBe('start');
  for (let i = 0; i < 30; i++) {
    one.text.insert(i % (one.text.length + 1), `a${i}😀`, i % 3 === 0 ? { bold: true } : {});
    two.text.insertEmbed(two.text.length >> 1, { image: `data:,${i}` });
    two.text.format(0, two.text.length, { color: i % 2 === 0 ? 'red' : null });
    one.doc.getMap('settings').set(`k${i % 5}`, i);
    two.doc.getArray('list').push([i]);
  }
  await until('equality', () => one.doc.getArray('list').length === 30 && same(one, two));
  const json = await JsonClient.join(server, doc_id, eve);
  expect(json.ready.content).toEqual(one.text.toDelta());
  const fresh = await stock(doc_id, eve);
  expect(same(fresh, one)).toBe(true);
});

test('Y41: after a restart of the server providers connect again by themselves, and nothing typed meanwhile is lost', async () => {
  const doc_id = await shared('start');
  const [one, two] = [await stock(doc_id, ada), await stock(doc_id, bob)];
  one.text.insert(5, ' 1');
  await two.reads('start 1');
  const down = server.restart();
  await one.until('the break', () => !one.provider.wsconnected);
  one.text.insert(one.text.length, ' offline-one');
  two.text.insert(0, 'offline-two ');
  await down;
  await one.until('both edits', () => one.text.toString() === 'offline-two start 1 offline-one');
  await until('equality', () => same(one, two));
  expect(await server.text(ada, doc_id)).toBe('offline-two start 1 offline-one');
});

test('Y42: a viewer’s provider is given everything, is refused nothing when it joins, and hears why its edits go nowhere', async () => {
  const warn = spyOn(console, 'warn').mockImplementation(() => {});
  const error = spyOn(console, 'error').mockImplementation(() => {});
  try {
    const doc_id = await shared('text');
    const [author, viewer] = [await stock(doc_id, ada), await stock(doc_id, eve)];
    await server.later(TIMES.keep_alive_ms);
    author.text.insert(0, '>');
    await viewer.reads('>text');
    expect(warn).not.toHaveBeenCalled();
    viewer.text.insert(0, 'mine ');
    author.text.insert(5, '!');
    await viewer.until('what follows', () => viewer.text.toString().endsWith('text!'));
    expect(warn.mock.calls.flat().join(' ')).toContain('permission denied');
    expect(error).not.toHaveBeenCalled();
    expect(author.text.toString()).toBe('>text!');
  } finally {
    warn.mockRestore();
    error.mockRestore();
  }
});

test('Y43: a provider that is refused for good stops trying', async () => {
  const doc_id = await server.createDocument(ada);
  const client = new StockClient(server, doc_id, bob);
  clients.push(client);
  const closed: { code: number }[] = [];
  client.provider.on('closed', (info) => void closed.push(info));
  await client.until('the end', () => closed.length > 0);
  expect(closed).toMatchObject([{ code: CLOSE.NOT_FOUND }]);
  expect(client.provider.shouldConnect).toBe(false);
});

test('Y44: what a viewer typed is there once the viewer may edit, without another edit', async () => {
  const warn = spyOn(console, 'warn').mockImplementation(() => {});
  try {
    const doc_id = await shared('text');
    const [author, viewer] = [await stock(doc_id, ada), await stock(doc_id, eve)];
    viewer.text.insert(0, 'mine ');
    await until('the refusal', () => warn.mock.calls.flat().join(' ').includes('permission denied'));
    expect(author.text.toString()).toBe('text');
    await server.share(ada, doc_id, eve, 'editor');
    await author.reads('mine text');
  } finally {
    warn.mockRestore();
  }
});
