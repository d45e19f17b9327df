/**
 * Ten thousand random and mutated frames through each door, into a document that people have open. None of them may end the
 * server, be a bug in its log, close a socket with anything but what the protocol says, reach another document, or make two
 * replicas of the attacked one differ.
 *
 * `CONCORD_HOSTILE_SEED=7 bin/test test/hostile/frames.test.ts` draws what seed 7 draws.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import Delta from 'quill-delta';
import * as Y from 'yjs';
import { seededRandom } from '../../src/base/random.ts';
import { CLOSE } from '../../src/protocol/close.ts';
import type { DeltaOps } from '../../src/protocol/content/delta.ts';
import { openTestServer, type TestServer, type TestUser } from '../support/server.ts';
import { JsonClient, YjsClient } from '../support/sockets.ts';
import { type Attacker, type Fate, type Frame, HocuspocusAttacker, JsonAttacker, YjsAttacker } from './attackers.ts';

const SEED = Number(process.env.CONCORD_HOSTILE_SEED ?? 20_260_101);
const FRAMES = 10_000;
const ATTACKERS = 8;

let server: TestServer;
let [owner, eve, mallory] = [{} as TestUser, {} as TestUser, {} as TestUser];

beforeAll(async () => {
  server = await openTestServer();
  [owner, eve, mallory] = [
    await server.register('ada'),
    await server.register('eve'),
    await server.register('mallory'),
  ];
});
afterAll(async () => {
  await server.stop();
});

/** Somebody on another document, who edits all the while and waits for each edit to be on disk. */
class Innocent {
  #text = '';
  #going = true;
  readonly #done: Promise<void>;

  private constructor(
    private readonly client: JsonClient,
    private readonly doc_id: string,
  ) {
    this.#done = this.#type();
  }

  static async arrive(): Promise<Innocent> {
    const doc_id = await server.createDocument(owner);
    return new Innocent(await JsonClient.join(server, doc_id, owner), doc_id);
  }

  /** Leaves; the text has to be what was typed, no more and no less. Resolves with the number of edits. */
  async leave(): Promise<number> {
    this.#going = false;
    await this.#done;
    expect(this.client.of('error')).toEqual([]);
    expect(await server.text(owner, this.doc_id)).toBe(this.#text);
    await this.client.leave();
    return this.#text.length;
  }

  async #type(): Promise<void> {
    while (this.#going) {
      const letter = String.fromCharCode(97 + (this.#text.length % 26));
      const { changes } = await this.client.edit(
        [{ retain: this.#text.length }, { insert: letter }].slice(this.#text === '' ? 1 : 0) as DeltaOps,
      );
      await this.client.acked(changes.rev);
      this.#text += letter;
    }
  }
}

/** Sends its share of frames; counts what became of them. */
async function attack(attacker: Attacker, count: number, fates: Map<Fate, number>): Promise<void> {
  for (let i = 0; i < count; i++) {
    const frame = attacker.frame();
    const fate = await attacker.send(frame).catch((error) => {
      throw new Error(`${error.message}: ${shown(frame)}`, { cause: error });
    });
    fates.set(fate, (fates.get(fate) ?? 0) + 1);
  }
  attacker.leave();
}

const shown = (frame: Frame): string =>
  typeof frame === 'string' ? frame.slice(0, 500) : Buffer.from(frame).toString('hex').slice(0, 500);

/** Everybody who has the document, by whichever way, reads the same. */
async function expectConverged(doc_id: string, json: JsonClient, yjs: YjsClient): Promise<void> {
  await json.settled();
  await yjs.settled();
  const { body } = await server.call('GET', `/v1/documents/${doc_id}/content?format=delta`, owner.token);
  const read = new Delta(body.data.value);
  const heard = json
    .of('edit')
    .reduce(
      (text, { changes }) => text.compose(new Delta(changes.delta as never)),
      new Delta(json.ready.content as never),
    );
  expect(heard.ops).toEqual(read.ops);
  const late = await YjsClient.join(server, doc_id, owner);
  expect(late.text.toJSON()).toBe(yjs.text.toJSON());
  expect(Y.encodeStateVector(late.doc)).toEqual(Y.encodeStateVector(yjs.doc));
  expect(late.doc.toJSON()).toEqual(yjs.doc.toJSON());
  await late.leave();
}

const DOORS = [
  ['JSON', JsonAttacker, [CLOSE.MALFORMED, CLOSE.TOO_LARGE]],
  ['Yjs', YjsAttacker, [CLOSE.MALFORMED]],
  ['Hocuspocus', HocuspocusAttacker, [CLOSE.MALFORMED]],
] as const;

test.each(DOORS)(
  `${FRAMES} frames on the %s door harm nobody`,
  async (door, Kind, codes) => {
    console.log(`${door}: CONCORD_HOSTILE_SEED=${SEED} draws the same frames again`);
    const doc_id = await server.createDocument(owner, 'What Eve shall not harm.');
    await server.share(owner, doc_id, eve, 'editor');
    await server.share(owner, doc_id, mallory, 'viewer');
    const innocent = await Innocent.arrive();
    const [json, yjs] = [await JsonClient.join(server, doc_id, owner), await YjsClient.join(server, doc_id, owner)];
    const fates = new Map<Fate, number>();
    const attackers = Array.from(
      { length: ATTACKERS },
      (_, i) => new Kind(server, doc_id, i % 4 === 3 ? mallory : eve, seededRandom(SEED + i)),
    );
    await Promise.all(attackers.map((attacker) => attack(attacker, FRAMES / ATTACKERS, fates)));
    const edits = await innocent.leave();
    console.log(
      `${door}: ${[...fates].map(([fate, count]) => `${count} × ${fate}`).join(', ')}; ${edits} innocent edits`,
    );
    expect([...fates.keys()].filter((fate) => fate !== 'open' && !(codes as readonly number[]).includes(fate))).toEqual(
      [],
    );
    await expectConverged(doc_id, json, yjs);
    await Promise.all([json.leave(), yjs.leave()]);
    expect(server.errors()).toEqual([]);
    expect((await server.call('GET', '/readyz')).status).toBe(200);
  },
  300_000,
);
