/**
 * Every contender is what the benchmark takes it for. The peers are tested where they are installed, which the first
 * benchmark does; Concord and the floor need nothing installed.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { recordsFolder, runFolder, uniqueName } from '../test/support/environment.ts';
import { until } from '../test/support/until.ts';
import type { RunningServer, YjsClient, YjsContender } from './contender.ts';
import { concord, concordJson } from './contenders/concord.ts';
import { floor } from './contenders/floor.ts';
import { hocuspocus } from './contenders/hocuspocus.ts';
import { sharedb } from './contenders/sharedb.ts';
import { yWebsocket } from './contenders/y-websocket.ts';
import { peersInstalled } from './install.ts';

const EDITS = 40;
const workshop = { folder: runFolder(uniqueName('contenders')), records: recordsFolder() };

const here: readonly YjsContender[] = [concord(workshop), floor(workshop)];
const peers: readonly YjsContender[] = peersInstalled()
  ? [hocuspocus('bun', workshop), hocuspocus('node', workshop), yWebsocket(workshop)]
  : [];

/** A client with the document of somebody who types one character at a time. */
class Writer {
  readonly #doc = new Y.Doc();
  readonly sent: Uint8Array[] = [];
  confirmed = 0;
  presence = 0;
  client: YjsClient | null = null;

  static async connect(contender: YjsContender, server: RunningServer, document: string, client_id: number) {
    const writer = new Writer();
    writer.#doc.clientID = client_id;
    writer.#doc.on('update', (update: Uint8Array) => writer.sent.push(update));
    writer.client = await contender.connect(server, document, {
      client_id,
      onConfirmed: (edits) => {
        writer.confirmed = edits;
      },
      onPresence: () => {
        writer.presence += 1;
      },
    });
    return writer;
  }

  type(text: string): void {
    this.#doc.getText('content').insert(0, text);
    this.client?.sendUpdate(this.sent.at(-1) ?? new Uint8Array());
  }

  erase(): void {
    this.#doc.getText('content').delete(0, 1);
    this.client?.sendUpdate(this.sent.at(-1) ?? new Uint8Array());
  }

  /** What this client's document reads with all that it sent and received. */
  text(): string {
    const doc = new Y.Doc();
    for (const update of [...this.sent, ...(this.client?.received ?? [])]) Y.applyUpdate(doc, update);
    return doc.getText('content').toString();
  }
}

describe.each([...here, ...peers].map((contender) => [contender.name, contender] as const))('%s', (name, contender) => {
  let server: RunningServer;

  beforeAll(async () => {
    server = await contender.start();
  }, 60_000);

  afterAll(() => server.stop());

  test('two clients get what the other one sends, each is told once of every edit of its own, and no other', async () => {
    const document = await server.createDocument();
    const [one, two] = await Promise.all([1, 2].map((id) => Writer.connect(contender, server, document, id)));
    if (one === undefined || two === undefined) throw new Error('both are connected');
    for (let i = 0; i < EDITS; i++) {
      one.type('a');
      two.type('b');
    }
    one.erase();
    await until('every edit is confirmed', () => one.confirmed === EDITS + 1 && two.confirmed === EDITS);
    await until('both read the same', () => one.text().length === 2 * EDITS - 1 && one.text() === two.text());
    await Promise.all([one.client?.close(), two.client?.close()]);
    expect([one.confirmed, two.confirmed]).toEqual([EDITS + 1, EDITS]);
  });

  test('a first state comes once, and somebody else’s presence as often as it is sent', async () => {
    const document = await server.createDocument();
    const [one, two] = await Promise.all([3, 4].map((id) => Writer.connect(contender, server, document, id)));
    expect([one?.client?.states_in, two?.client?.states_in]).toEqual([1, 1]);
    for (let i = 1; i <= 3; i++) {
      const before = two?.presence ?? 0;
      one?.client?.sendPresence({ cursor: i });
      await until('the other sees it', () => (two?.presence ?? 0) > before);
    }
    expect(two?.client?.bytes_in).toBeGreaterThan(0);
    await Promise.all([one?.client?.close(), two?.client?.close()]);
  });

  test('processor time grows with work, and memory is told', async () => {
    const before = server.cpu();
    const document = await server.createDocument();
    const writer = await Writer.connect(contender, server, document, 5);
    for (let i = 0; i < EDITS; i++) writer.type('c');
    await until('every edit is confirmed', () => writer.confirmed === EDITS);
    await writer.client?.close();
    const after = server.cpu();
    expect(after.server_ms).toBeGreaterThan(before.server_ms);
    if (name === 'concord') expect(after.stores_ms).toBeGreaterThan(before.stores_ms);
    expect(await server.rss()).toBeGreaterThan(10 * 1024 * 1024);
  });

  // The floor keeps nothing, as it says.
  if (name === floor().name) return;
  test('a document that was made with a state is there after a restart', async () => {
    const doc = new Y.Doc();
    doc.getText('content').insert(0, 'what was stored');
    const document = await server.createDocument(Y.encodeStateAsUpdate(doc));
    const before = server.cpu();
    await server.restart();
    const reader = await Writer.connect(contender, server, document, 6);
    expect(reader.text()).toBe('what was stored');
    expect(reader.client?.states_in).toBe(1);
    expect(server.cpu().server_ms).toBeGreaterThan(before.server_ms);
    await reader.client?.close();
  });
});

describe.each(
  [concordJson('disk', workshop), concordJson('event', workshop), ...(peersInstalled() ? [sharedb(workshop)] : [])].map(
    (contender) => [contender.name, contender] as const,
  ),
)('%s, by operations', (_name, contender) => {
  test('clients that insert at once read the same, with every edit of everybody', async () => {
    const server = await contender.start();
    try {
      const document = await server.createDocument();
      const clients = await Promise.all([1, 2, 3].map(() => contender.connect(server, document)));
      await Promise.all(
        clients.map(async (client, i) => {
          for (let edit = 0; edit < EDITS; edit++) await client.insertAtStart(`${i}`);
        }),
      );
      const texts = await Promise.all(clients.map((client) => client.settled(3 * EDITS)));
      expect(texts[0]).toHaveLength(3 * EDITS);
      expect(new Set(texts).size).toBe(1);
      await Promise.all(clients.map((client) => client.close()));
    } finally {
      await server.stop();
    }
  }, 60_000);
});
