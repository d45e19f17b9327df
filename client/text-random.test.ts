/**
 * The client's text against a model of the server that is nothing but quill-delta: a history of deltas with an owner who
 * may die and take what was not acked with it. No sockets and no storage, so thousands of histories take a second; what
 * the model leaves out (Yjs, frames, storage) is in test/fuzz.
 */
import { describe, expect, test } from 'bun:test';
import Delta, { type Op } from 'quill-delta';
import { type Random, seededRandom } from '../src/base/random.ts';
import { documentOf } from './delta.ts';
import { SharedText } from './text.ts';

interface Row {
  readonly delta: Delta;
  readonly client: number;
  readonly seq: number;
}

type Sent = { readonly seq: number; readonly base_rev: number; readonly delta: Delta };
type Told =
  | {
      readonly kind: 'ready';
      readonly epoch: number;
      readonly rev: number;
      readonly last_seq: number;
      readonly content: Op[] | null;
    }
  | { readonly kind: 'edit'; readonly rev: number; readonly row: Row }
  | { readonly kind: 'ack'; readonly epoch: number; readonly rev: number };

class Owner {
  rows: Row[] = [];
  durable = 0;
  epoch = 1;
  /** The epoch that wrote each row. */
  epochs: number[] = [];

  content(): Delta {
    return this.rows.reduce((text, { delta }) => text.compose(delta), new Delta());
  }

  lastSeq(client: number): number {
    return this.rows.reduce((last, row) => (row.client === client ? Math.max(last, row.seq) : last), 0);
  }

  /** What the contract's `ready` says to a client that stopped at this point, and what follows it. */
  join(client: number, known: boolean, epoch: number, rev: number): Told[] {
    const in_history = known && rev <= this.rows.length && (this.epochs[rev - 1] ?? 0) <= epoch;
    const ready: Told = {
      kind: 'ready',
      epoch: this.epoch,
      rev: this.rows.length,
      last_seq: this.lastSeq(client),
      content: in_history ? null : structuredClone(this.content().ops),
    };
    const missed = in_history
      ? this.rows.slice(rev).map((row, i): Told => ({ kind: 'edit', rev: rev + i + 1, row }))
      : [];
    return [ready, ...missed, { kind: 'ack', epoch: this.epoch, rev: this.durable }];
  }

  take(client: number, { seq, base_rev, delta }: Sent): Row {
    if (seq !== this.lastSeq(client) + 1)
      throw new Error(`client ${client} sent seq ${seq}, held is ${this.lastSeq(client)}`);
    if (delta.ops.every((op) => op.retain !== undefined && op.attributes === undefined))
      throw new Error('an edit that changes nothing');
    const carried = this.rows.slice(base_rev).reduce((later, row) => row.delta.transform(later, true), delta);
    const row = { delta: carried, client, seq };
    this.rows.push(row);
    this.epochs.push(this.epoch);
    return row;
  }

  /** Another owner takes over; it knows `kept` rows. */
  die(kept: number): void {
    this.rows.length = kept;
    this.epochs.length = kept;
    this.epoch += 1;
    this.durable = kept;
  }
}

class Client {
  readonly text = new SharedText();
  /** What an editor that follows the changes shows. */
  shown = new Delta();
  inbox: Told[] = [];
  outbox: Sent[] = [];
  connected = false;

  constructor(readonly id: number) {}

  change(delta: Delta): void {
    this.shown = this.shown.compose(delta);
  }

  type(edit: Delta): void {
    this.text.edit(edit);
    this.change(edit);
    this.flush();
  }

  flush(): void {
    if (!this.connected) return;
    const next = this.text.take();
    if (next !== null) this.outbox.push(next);
  }

  /** Takes one message; false when it has to start over with the whole content. */
  hear(told: Told): boolean {
    const { text } = this;
    if (told.kind === 'ack') text.acked(told.epoch, told.rev);
    else if (told.kind === 'edit') {
      const ours = told.row.client === this.id && told.row.seq === text.in_flight_seq;
      this.change(ours ? text.landed(told.rev, told.row.delta.ops) : text.remote(told.rev, told.row.delta.ops));
    } else if (told.content !== null) {
      this.connected = true;
      this.change(text.replace(told.epoch, told.rev, told.last_seq, told.content));
    } else {
      this.connected = true;
      if (text.resume(told.epoch, told.last_seq) === 'content_needed') return false;
    }
    this.flush();
    return true;
  }
}

const COLOURS = ['red', 'blue', null];

function randomEdit(random: Random, content: Delta, marker: string | null): Delta {
  const below = (limit: number): number => Math.floor(random.float() * limit);
  const length = content.length();
  const at = below(length + 1);
  const edit = new Delta().retain(at);
  const span = Math.min(length - at, 1 + below(6));
  if (marker !== null) return edit.insert(marker, below(4) === 0 ? { bold: true } : undefined);
  switch (below(5)) {
    case 0:
      return span > 0 ? edit.delete(span) : edit.insert('x');
    case 1:
      return span > 0 ? edit.retain(span, { colour: COLOURS[below(3)] ?? null }) : edit.insert('y');
    case 2:
      return edit.insert({ image: String(below(3)) });
    case 3:
      return span > 0 ? edit.insert('ab').delete(span) : edit.insert('z');
    default:
      return edit.insert('abcdef'.slice(0, 1 + below(6)), below(3) === 0 ? { colour: 'red' } : undefined);
  }
}

/** Runs one history and checks what must hold at its end. */
function play(seed: number, deaths: boolean): void {
  const random = seededRandom(seed);
  const below = (limit: number): number => Math.floor(random.float() * limit);
  const owner = new Owner();
  const clients = [0, 1, 2].map((id) => new Client(id));
  const typed: string[] = [];
  const deleted = new Set<string>();
  const broadcast = (told: Told): void => {
    for (const client of clients) if (client.connected || client.inbox.length > 0) client.inbox.push(told);
  };
  const disconnect = (client: Client): void => {
    client.connected = false;
    client.inbox = [];
    client.outbox = [];
    client.text.disconnected();
  };
  const connect = (client: Client, whole = false): void => {
    disconnect(client);
    const { known, epoch, rev } = client.text;
    client.inbox = owner.join(client.id, known && !whole, epoch, rev);
  };
  const hear = (client: Client): void => {
    const told = client.inbox.shift();
    if (told !== undefined && !client.hear(told)) connect(client, true);
  };
  const serve = (client: Client): void => {
    const sent = client.outbox.shift();
    if (sent !== undefined) broadcast({ kind: 'edit', rev: owner.rows.length + 1, row: owner.take(client.id, sent) });
  };
  const ack = (rev: number): void => {
    owner.durable = rev;
    broadcast({ kind: 'ack', epoch: owner.epoch, rev });
  };
  for (let step = 0; step < 100; step += 1) {
    const client = clients[below(3)] as Client;
    const what = below(20);
    if (what < 7) {
      const marker = below(2) === 0 ? String.fromCodePoint(0xe000 + typed.length) : null;
      if (marker !== null) typed.push(marker);
      const edit = randomEdit(random, client.text.content, marker);
      for (const gone of textDeleted(edit, client.text.content)) deleted.add(gone);
      client.type(edit);
    } else if (what < 12) for (let n = below(5); n >= 0; n -= 1) hear(client);
    else if (what < 17) serve(client);
    else if (what === 17) disconnect(client);
    else if (what === 18) ack(owner.durable + below(owner.rows.length - owner.durable + 1));
    else if (deaths) {
      for (const each of clients) disconnect(each);
      owner.die(owner.durable + below(owner.rows.length - owner.durable + 1));
    }
    if (!client.connected && client.inbox.length === 0 && below(3) === 0) connect(client, below(3) === 0);
    checkShown(client);
  }
  for (let busy = true; busy; ) {
    busy = false;
    for (const client of clients) {
      if (!client.connected && client.inbox.length === 0) connect(client);
      while (client.inbox.length + client.outbox.length > 0) {
        busy = true;
        hear(client);
        serve(client);
      }
    }
  }
  ack(owner.rows.length);
  const end = owner.content();
  for (const client of clients) {
    while (client.inbox.length > 0) hear(client);
    expect(documentOf(client.text.content.ops).ops).toEqual(documentOf(end.ops).ops);
    checkShown(client);
    expect(client.text.unacked).toBe(0);
  }
  const written = owner.rows.map(({ delta }) => textOf(delta)).join('');
  const left = textOf(end);
  for (const marker of typed) {
    expect(count(written, marker)).toBeLessThanOrEqual(1);
    expect(count(left, marker)).toBe(deleted.has(marker) ? count(left, marker) : 1);
  }
}

function checkShown(client: Client): void {
  // Comparing as JSON first: this runs after every step.
  if (JSON.stringify(client.shown.ops) !== JSON.stringify(client.text.content.ops))
    expect(client.shown.ops).toEqual(client.text.content.ops);
}

function textOf(delta: Delta): string {
  return delta.ops.map(({ insert }) => (typeof insert === 'string' ? insert : '')).join('');
}

/** What an edit of this text deletes. */
function textDeleted(edit: Delta, content: Delta): string {
  return textOf(edit.invert(content));
}

function count(text: string, marker: string): number {
  return text.split(marker).length - 1;
}

/** Histories of each kind. */
const SEEDS = 100;

describe('the text of a client', () => {
  test('converges with every other through delays, breaks and resumes, each edit once', () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) play(seed, false);
  });

  test('converges when owners die and take confirmed edits with them, each edit once', () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) play(seed, true);
  });
});
