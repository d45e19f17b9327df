/**
 * Random lives of a document: Yjs clients (one with an editor that reads deltas, as y-quill does) and JSON writers edit
 * it, go offline and come back; it is closed and opened from its bytes; owners die before they wrote. After each step the
 * effects that were told add up to the text; in the end everybody has the same. A failure names its seed and step.
 */
import { expect, test } from 'bun:test';
import Delta from 'quill-delta';
import * as Y from 'yjs';
import { type Random, seededRandom } from '../base/random.ts';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { snapshotOf } from '../protocol/snapshot.ts';
import { type Change, EMPTY_STATE, Replica, type TailEntry } from './replica.ts';
import { serverClientId } from './server-ids.ts';
import { decodeUpdate } from './updates.ts';

const DOC = '0198c5c2-7a5e-7b3c-9f00-000000000002';
const PLAIN = ['a', 'bc ', 'def', 'é\n', '\u0000', ' '];
const WORDS = [...PLAIN, '😀', '👩‍👩‍👧'];
/** JSON writers mark what they insert, so that it can be told whether a lost insertion came back. */
const MARKS_FROM = 0x4e00;

/** Ops with neighbours of equal attributes joined: what two texts are compared by. */
function joined(ops: DeltaOps): unknown {
  const delta = new Delta();
  for (const op of ops) delta.push(op);
  return delta.ops;
}

class Client {
  readonly doc = new Y.Doc();
  outbox: Uint8Array[] = [];
  inbox: Uint8Array[] = [];

  constructor(
    client_id: number,
    reads_deltas = false,
    private readonly words = WORDS,
  ) {
    this.doc.clientID = client_id;
    const text = this.doc.getText('content');
    if (reads_deltas) text.observe((event) => event.delta);
    this.doc.on('update', (update: Uint8Array, origin: unknown) => {
      // Stock providers send on what did not come from them; Yjs's own clean-up has no origin.
      if (origin !== 'server') this.outbox.push(update);
    });
  }

  /** `tears`: whether it may put something between the halves of a surrogate pair, which stock editors do not. */
  edit(random: Random, tears = false): void {
    const text = this.doc.getText('content');
    const place = (index: number): number => (tears ? index : outsidePairs(this.doc, index));
    const at = place(random.uint32() % (text.length + 1));
    const length = place(Math.min(text.length, at + 1 + (random.uint32() % 4))) - at;
    const kind = random.uint32() % 10;
    if (kind < 4 || length === 0) text.insert(at, this.#word(random), kind === 0 ? { bold: true } : undefined);
    else if (kind < 7) text.delete(at, length);
    else if (kind < 9) text.format(at, length, format(random));
    else if (random.float() < 0.7) text.insertEmbed(at, { image: this.#word(random) });
    else if (random.float() < 0.5) text.insertEmbed(at, new Y.Text('shared'));
    else this.doc.getMap('meta').set('n', random.uint32());
  }

  receive(count: number): void {
    for (const update of this.inbox.splice(0, count)) Y.applyUpdate(this.doc, update, 'server');
  }

  #word(random: Random): string {
    return this.words[random.uint32() % this.words.length] ?? '';
  }
}

/** The place itself, or the one behind the pair that it would split. */
function outsidePairs(doc: Y.Doc, index: number): number {
  const ops = doc.getText('content').toDelta() as DeltaOps;
  const flat = ops.map(({ insert }) => (typeof insert === 'string' ? insert : '\ufffc')).join('');
  const [before, after] = [flat.charCodeAt(index - 1), flat.charCodeAt(index)];
  return before >= 0xd800 && before <= 0xdbff && after >= 0xdc00 && after <= 0xdfff ? index + 1 : index;
}

function format(random: Random): Record<string, unknown> {
  const name = ['bold', 'italic', 'link'][random.uint32() % 3] ?? '';
  return { [name]: [true, null, { href: 'x' }][random.uint32() % 3] };
}

class World {
  readonly random: Random;
  readonly clients: Client[];
  replica: Replica;
  epoch = 1;
  /** What is on disk, one entry per revision. */
  journal: TailEntry[] = [];
  text = new Delta();
  marks = 0;
  readonly lost = new Set<string>();

  constructor(
    readonly seed: number,
    words = WORDS,
  ) {
    this.random = seededRandom(seed);
    this.clients = [0, 1, 2].map((n) => new Client(1_000 + seed * 10 + n, n === 0, words));
    this.replica = new Replica(DOC, serverClientId(DOC, this.epoch), EMPTY_STATE, []);
  }

  step(): void {
    const { random } = this;
    const client = this.clients[random.uint32() % this.clients.length] as Client;
    const kind = random.uint32() % 100;
    if (kind < 30) client.edit(random);
    else if (kind < 50) this.send(client, 1 + (random.uint32() % 4));
    else if (kind < 70) client.receive(1 + (random.uint32() % 5));
    else if (kind < 90) this.write();
    else if (kind < 94) this.reconnect(client);
    else if (kind < 97) this.reopen();
    else this.crash(random.uint32() % 4);
    this.check();
  }

  /** Has everybody hear everything, also what hearing it made them say. */
  settle(): void {
    for (let round = 0; round < 50; round++) {
      if (this.clients.every((client) => client.outbox.length + client.inbox.length === 0)) return;
      for (const client of this.clients) {
        client.receive(client.inbox.length);
        this.send(client, client.outbox.length);
      }
    }
    throw new Error(`seed ${this.seed}: the clients never fall silent`);
  }

  send(client: Client, count: number): void {
    const updates = client.outbox.splice(0, count);
    if (updates.length === 0) return;
    const applied = this.replica.applyUpdates(updates);
    expect([this.seed, applied.malformed]).toEqual([this.seed, false]);
    if (applied.kind === 'changed') this.note(applied.change, client);
    // It was asked for its whole difference: everything that it has not sent is in there.
    if (applied.missing) this.reconnect(client);
  }

  /** A JSON writer's edit of the present text. */
  write(): void {
    const { random, replica } = this;
    const delta = new Delta();
    const at = random.uint32() % (replica.length() + 1);
    delta.retain(at);
    const left = replica.length() - at;
    const kind = random.uint32() % 4;
    if (kind === 0 && left > 0) delta.delete(1 + (random.uint32() % left));
    else if (kind === 1 && left > 0) delta.retain(1 + (random.uint32() % left), format(random));
    else {
      const mark = String.fromCharCode(MARKS_FROM + this.marks++);
      delta.insert(mark, random.float() < 0.3 ? { bold: true } : undefined);
      if (random.float() < 0.2) delta.insert({ image: 'json' }, { width: 1 });
    }
    const ops = delta.ops as DeltaOps;
    if (ops.length > 0 && replica.unfit(ops) === null) this.note(replica.applyDelta(ops), null);
  }

  reconnect(client: Client): void {
    client.inbox = this.replica.missingFor(Y.encodeStateVector(client.doc));
    client.receive(client.inbox.length);
    client.outbox = [Y.encodeStateAsUpdate(client.doc, this.replica.stateVector())];
    this.send(client, 1);
  }

  /** Closes the document in order and opens it from a snapshot of some past and the journal since. */
  reopen(): void {
    const cut = this.random.uint32() % (this.journal.length + 1);
    const doc = new Y.Doc();
    for (const { update } of this.journal.slice(0, cut)) Y.applyUpdate(doc, update);
    this.epoch += 1;
    this.replica = new Replica(DOC, serverClientId(DOC, this.epoch), snapshotOf(doc), this.journal.slice(cut));
  }

  /** The owner dies with `unwritten` revisions in its memory; everybody comes back to the next one. */
  crash(unwritten: number): void {
    const kept = this.journal.length - Math.min(unwritten, this.journal.length);
    const gone = this.journal.slice(kept);
    this.journal = this.journal.slice(0, kept);
    const marks = (ops: DeltaOps) => JSON.stringify(ops).match(/[\u4e00-\u9fff]/g) ?? [];
    for (const { delta, json } of gone as (TailEntry & { json?: boolean })[])
      if (json === true) for (const mark of marks(delta)) this.lost.add(mark);
    this.reopen();
    this.text = this.journal.reduce((text, { delta }) => text.compose(new Delta(delta)), new Delta());
    for (const client of this.clients) this.reconnect(client);
  }

  note(change: Change, author: Client | null): void {
    const entry: TailEntry & { json: boolean } = { update: change.update, delta: change.delta, json: author === null };
    this.journal.push(entry);
    this.text = this.text.compose(new Delta(change.delta));
    for (const client of this.clients) if (client !== author || change.amended) client.inbox.push(change.update);
  }

  check(): void {
    const where = [this.seed, this.journal.length];
    expect([...where, joined(this.text.ops as DeltaOps)]).toEqual([...where, joined(this.replica.ops())]);
    expect([...where, this.text.length()]).toEqual([...where, this.replica.length()]);
  }
}

const SEEDS = 60;
const STEPS = 150;

test(`the effects that are told add up to the text, opened documents are like live ones, and all converge (${SEEDS} seeds)`, () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = new World(seed);
    for (let step = 0; step < STEPS; step++) world.step();
    world.settle();
    world.check();
    const text = joined(world.replica.ops());
    const journaled = new Y.Doc();
    for (const { update } of world.journal) Y.applyUpdate(journaled, update);
    const rebuilt = new Replica(DOC, serverClientId(DOC, 9_999), snapshotOf(journaled), []);
    expect([seed, 'journal', joined(rebuilt.ops())]).toEqual([seed, 'journal', text]);
    for (const client of world.clients) {
      const theirs = new Replica(DOC, serverClientId(DOC, 9_999), snapshotOf(client.doc), []);
      expect([seed, client.doc.clientID, joined(theirs.ops())]).toEqual([seed, client.doc.clientID, text]);
      expect(client.doc.getMap('meta').toJSON()).toEqual(journaled.getMap('meta').toJSON());
    }
    const all = JSON.stringify(text);
    for (const mark of world.lost) expect([seed, mark, all.includes(mark)]).toEqual([seed, mark, false]);
  }
}, 60_000);

test('where clients tear surrogate pairs, what is told still adds up to the text', () => {
  let torn = 0;
  for (let seed = 1; seed <= 30; seed++) {
    const world = new World(5_000 + seed);
    for (let step = 0; step < 100; step++) {
      const client = world.clients[step % 3] as Client;
      if (step % 4 === 0) world.write();
      else client.edit(world.random, true);
      if (step % 5 === 0) client.receive(3);
      world.send(client, 2);
      world.check();
    }
    if (JSON.stringify(world.replica.ops()).includes('\ufffd')) torn += 1;
  }
  expect(torn).toBeGreaterThan(20);
});

test('mutated updates never corrupt a document: it can be written, opened, read and edited, and intact clients converge', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const world = new World(10_000 + seed, PLAIN);
    for (let step = 0; step < 60; step++) world.step();
    for (let shot = 0; shot < 60; shot++) attack(world, shot);
    // Somebody new joins, writes, and has what the document has.
    const newcomer = new Client(9_000_000 + seed, false, PLAIN);
    for (const update of world.replica.missingFor(null)) Y.applyUpdate(newcomer.doc, update, 'server');
    world.clients.splice(0, world.clients.length, newcomer);
    for (let step = 0; step < 40; step++) world.step();
    world.settle();
    const theirs = new Replica(DOC, serverClientId(DOC, 9_999), snapshotOf(newcomer.doc), []);
    expect([seed, joined(theirs.ops())]).toEqual([seed, joined(world.replica.ops())]);
  }
}, 60_000);

/** Sends one mutated update. */
function attack(world: World, shot: number): void {
  const { random, replica, seed } = world;
  const attacker = new Client(5_000_000 + (random.uint32() % 1_000_000), false, PLAIN);
  for (const update of replica.missingFor(null)) Y.applyUpdate(attacker.doc, update, 'server');
  for (let i = 0; i < 3; i++) attacker.edit(random);
  const whole = random.float() < 0.5;
  const known = world.clients[0]?.doc;
  const vector = whole || known === undefined ? undefined : Y.encodeStateVector(known);
  const update = mutate(Y.encodeStateAsUpdate(attacker.doc, vector), random);
  const before = Buffer.from(replica.state()).toString('base64');
  replica.covers(update);
  const applied = replica.applyUpdates([update]);
  if (applied.kind === 'changed') world.note(applied.change, null);
  else expect([seed, shot, Buffer.from(replica.state()).toString('base64')]).toEqual([seed, shot, before]);
  if (decodeUpdate(update) === null)
    expect([seed, shot, applied.kind, applied.malformed]).toEqual([seed, shot, 'nothing', true]);
  world.check();
}

/** Flips, drops, repeats or inserts a few bytes. */
function mutate(update: Uint8Array, random: Random): Uint8Array {
  const bytes = [...update];
  const times = 1 + (random.uint32() % 3);
  for (let i = 0; i < times; i++) {
    const at = random.uint32() % Math.max(bytes.length, 1);
    const kind = random.uint32() % 5;
    if (kind === 0) bytes[at] = random.uint32() & 0xff;
    else if (kind === 1) bytes[at] = (bytes[at] ?? 0) ^ (1 << (random.uint32() % 8));
    else if (kind === 2) bytes.splice(at, 1 + (random.uint32() % 3));
    else if (kind === 3) bytes.splice(at, 0, ...random.bytes(1 + (random.uint32() % 3)));
    else bytes.splice(at, 0, ...bytes.slice(at, at + 1 + (random.uint32() % 8)));
  }
  return Uint8Array.from(bytes);
}
