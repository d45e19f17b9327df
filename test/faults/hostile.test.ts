/** What hostile or broken clients do to a server costs it bounded memory, ends with the right code, and disturbs nobody else. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { seededRandom } from '../../src/base/random.ts';
import { CLOSE } from '../../src/protocol/close.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { Memory } from '../support/memory.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { Concord, type Person } from './concord.ts';
import { JsonClient } from './json-client.ts';
import { Ledger } from './ledger.ts';

/** Bun's own code for a frame above the largest bound of all doors. */
const TOO_BIG_FOR_ANY_DOOR = 1009;
const HALF_OPEN = 10_000;
const HALF_OPEN_AT_ONCE = 500;
const SLOW_READERS = 4;
/** What the server may take on top of what it had, for all of a test; what slow readers may be owed comes on top of it. */
const GROWTH_BYTES_MAX = 200 * 1024 * 1024;
/** On a machine that is busy with the flood itself. */
const INNOCENT_P99_MS_MAX = 500;

let database: TestDatabase;
let redis: TestRedis;
let concord: Concord;
let ada: Person;
let innocent: Innocent;
let memory: Memory;

beforeAll(async () => {
  [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  concord = await Concord.start({ DATABASE_URL: database.url, REDIS_URL: redis.url });
  ada = await concord.register('ada');
});

afterAll(async () => {
  expect(await concord.terminate()).toBe(0);
  await Promise.all([database.drop(), redis.stop()]);
});

beforeEach(async () => {
  innocent = await Innocent.arrive();
  memory = new Memory(concord.server.pid);
});

afterEach(async () => {
  memory.stop();
  await innocent.leave();
});

/** Somebody who types on a document of their own and notes how long their edits take to come back. */
class Innocent {
  readonly times: number[] = [];
  #going = true;
  readonly #done: Promise<void>;

  private constructor(
    private readonly client: JsonClient,
    private readonly ledger: Ledger,
  ) {
    this.#done = this.#type();
  }

  static async arrive(): Promise<Innocent> {
    const ledger = new Ledger();
    const doc_id = await concord.createDocument(ada);
    const client = new JsonClient({ concord, ledger, random: seededRandom(1), person: ada, doc_id, name: 'innocent' });
    await client.connect();
    await until('the innocent to have arrived', () => client.is_ready);
    return new Innocent(client, ledger);
  }

  /** Was never sent away, and waited for no edit. */
  expectUndisturbed(): void {
    expect(this.client.closed_with).toBeNull();
    expect(this.ledger.faults).toEqual([]);
    expect(this.times.length).toBeGreaterThan(10);
    const sorted = this.times.toSorted((a, b) => a - b);
    expect(sorted[Math.ceil(sorted.length * 0.99) - 1]).toBeLessThan(INNOCENT_P99_MS_MAX);
  }

  async leave(): Promise<void> {
    this.#going = false;
    await this.#done;
    this.client.leave();
  }

  async #type(): Promise<void> {
    while (this.#going) {
      const begun = performance.now();
      const marker = this.client.type() ?? '';
      await until('the edit to be back and acknowledged', () => marker !== '' && this.client.is_settled, 20_000);
      this.times.push(performance.now() - begun);
      await Bun.sleep(10);
    }
  }
}

/** A door of a document that exists. */
const doorUrl = (door: string, doc_id: string): string => `${concord.ws_url}/v1/${door}/${doc_id}?token=${ada.token}`;

/** Opens a socket, sends this as soon as the document has greeted it, and resolves with the code that it is closed with. */
async function closedAfter(door: string, ...frames: readonly (string | Uint8Array<ArrayBuffer>)[]): Promise<number> {
  const socket = new WebSocket(doorUrl(door, await concord.createDocument(ada)));
  const closed = new Promise<number>((resolve) => {
    socket.onclose = ({ code }) => resolve(code);
  });
  await new Promise((resolve) => {
    socket.onmessage = resolve;
  });
  for (const frame of frames) socket.send(frame as string);
  return await closed;
}

test('frames that are too large are refused with their code, on every door', async () => {
  const large = 'x'.repeat(10 * 1024 * 1024);
  const codes = await Promise.all([
    closedAfter('collab', large),
    closedAfter('collab', `"${large.slice(0, LIMITS.json_frame_bytes_max)}"`),
    closedAfter('yjs', new Uint8Array(10 * 1024 * 1024)),
  ]);
  expect(codes).toEqual([TOO_BIG_FOR_ANY_DOOR, CLOSE.TOO_LARGE, TOO_BIG_FOR_ANY_DOOR]);
  expect(memory.growth).toBeLessThan(GROWTH_BYTES_MAX);
  await until('some edits in the meantime', () => innocent.times.length > 10);
  innocent.expectUndisturbed();
}, 60_000);

test('garbage from 200 sockets is refused with its code, on every door', async () => {
  const random = seededRandom(7);
  const garbage = (): Uint8Array<ArrayBuffer> => {
    const bytes = new Uint8Array(random.bytes(1 + Math.floor(random.float() * 200)));
    bytes[0] = 0; // a sync message, which is read further
    bytes[1] = 2; // an update
    bytes[2] = bytes.length > 3 ? bytes.length - 3 : 5;
    return bytes;
  };
  for (let batch = 0; batch < 10; batch++) {
    const json = await Promise.all(Array.from({ length: 10 }, () => closedAfter('collab', random.bytes(40).join(' '))));
    expect(new Set(json)).toEqual(new Set([CLOSE.MALFORMED]));
    const yjs = await Promise.all(Array.from({ length: 10 }, () => closedAfter('yjs', garbage())));
    expect(new Set(yjs)).toEqual(new Set([CLOSE.MALFORMED]));
  }
  expect(memory.growth).toBeLessThan(GROWTH_BYTES_MAX);
  innocent.expectUndisturbed();
}, 60_000);

/** A client that opens a WebSocket by hand and then reads nothing until it is told to; that resolves with its last bytes. */
async function openDeaf(doc_id: string): Promise<() => Promise<string>> {
  const socket = createConnection({ host: '127.0.0.1', port: concord.port });
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(
    `GET /v1/collab/${doc_id}?token=${ada.token} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n',
  );
  await new Promise((resolve) => socket.once('data', resolve));
  socket.pause();
  return async () => {
    let last = Buffer.alloc(0);
    socket.on('data', (data: Buffer) => {
      last = Buffer.concat([last, data.subarray(-64)]).subarray(-64);
    });
    socket.resume();
    await closed;
    return last.toString('hex');
  };
}

test(`${SLOW_READERS} readers who read nothing cost what they may be owed, are closed with 1013, and the others of the document do not notice`, async () => {
  const doc_id = await concord.createDocument(ada);
  const author = new WebSocket(doorUrl('collab', doc_id));
  let rev = 0;
  author.onmessage = ({ data }) => {
    const event = JSON.parse(data as string);
    if (event.type === 'edit') rev = event.changes.rev;
  };
  await until('the author to be connected', () => author.readyState === WebSocket.OPEN);
  const connections = async (): Promise<number> =>
    (await concord.call('GET', `/v1/documents/${doc_id}/presence`, ada.token)).body.data.items.length;
  const deaf = await Promise.all(Array.from({ length: SLOW_READERS }, () => openDeaf(doc_id)));
  await until('everybody to have joined', async () => (await connections()) === SLOW_READERS + 1);
  const chapter = 'x'.repeat(500_000);
  let seq = 0;
  const edit = async (delta: object[]): Promise<void> => {
    seq += 1;
    author.send(JSON.stringify({ type: 'edit', changes: { base_rev: rev, delta }, seq }));
    await until('the edit to be back', () => rev === seq);
  };
  await until(
    'the deaf to be sent away',
    async () => {
      await edit([{ insert: chapter }]);
      await edit([{ delete: chapter.length }]);
      return (await connections()) === 1;
    },
    30_000,
  );
  // A buffer that grows by doubling may take twice what waits in it.
  const owed = 2 * SLOW_READERS * LIMITS.socket_backlog_bytes_hard_max;
  expect(memory.growth).toBeLessThan(GROWTH_BYTES_MAX + owed);
  // A close frame: final, close, its length, 1013 as two bytes, the reason.
  for (const readOn of deaf) expect(await readOn()).toMatch(/88..03f5/);
  expect(author.readyState).toBe(WebSocket.OPEN);
  author.close();
  innocent.expectUndisturbed();
}, 60_000);

/** How many files a process may have open here. */
function filesMax(): number {
  return Number(
    /^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${concord.server.pid}/limits`, 'utf8'))?.[1] ?? 1_024,
  );
}

test('10,000 sockets that say half of something and then nothing cost little, and nobody else notices', async () => {
  const count = Math.min(HALF_OPEN, filesMax() - 2_000);
  const sockets: Socket[] = [];
  const open = (i: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = createConnection({ host: '127.0.0.1', port: concord.port }, () => {
        // Nothing at all, half a request, or half a frame.
        if (i % 3 === 1) socket.write('GET /v1/collab/');
        if (i % 3 === 2)
          socket.write(`POST /v1/auth/login HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\n{"email":`);
        resolve();
      });
      socket.on('error', reject);
      sockets.push(socket);
    });
  for (let i = 0; i < count; i += HALF_OPEN_AT_ONCE)
    await Promise.all(Array.from({ length: HALF_OPEN_AT_ONCE }, (_, k) => open(i + k)));
  const seen = innocent.times.length;
  await until('the innocent to go on', () => innocent.times.length > seen + 20);
  expect((await concord.call('GET', '/readyz')).status).toBe(200);
  expect(memory.growth).toBeLessThan(GROWTH_BYTES_MAX);
  innocent.expectUndisturbed();
  for (const socket of sockets) {
    socket.removeAllListeners('error');
    socket.on('error', () => {});
    socket.destroy();
  }
}, 60_000);
