/**
 * Replays a trace through the Yjs door, one `Y.Doc` and one socket per author.
 *
 * What the authors' editors would have produced is computed first, so that the clock measures the server and not the
 * typing: each author's own document takes in exactly those edits of others that the trace says they knew, makes the
 * next edit, and yields its update. Then the updates are sent, each when what it builds on has reached its author through
 * the server. Other than in life, an author's document is not the one that the server's frames go into, since one frame
 * may carry several edits, of which the author is to know only the first; a second one takes those, and must end up with
 * the same text.
 *
 * When two insert at one place Yjs keeps the lower clientID left. The traces are said to hold no such inserts, but where
 * deletions had emptied the space between two places they do, and their `endContent` keeps the first author left: so
 * clientIDs ascend with the authors.
 *
 * Yjs clients do not wait for each other's answers. `in_flight` bounds how many edits of an author are on their way to
 * the disk: one is a person typing, many show what the server can take.
 */
import * as decoding from 'lib0/decoding';
import * as Y from 'yjs';
import { TEXT_ROOT } from '../src/protocol/snapshot.ts';
import { MESSAGE, SYNC, step1Frame, updateFrame } from '../src/protocol/yjs-wire.ts';
import { type Figures, Latencies } from './figures.ts';
import { doorUrl, type Place } from './place.ts';
import { Astral, patchDeltas, type Trace } from './trace.ts';

/** How long an author waits for the others' last edits once all are on disk. */
const SHOWN_WITHIN_MS = 10_000;

/** One edit, ready to be sent. */
interface Edit {
  readonly frame: Uint8Array;
  readonly update: Uint8Array;
  /** Per author: the clock that the edits it builds on end at. */
  readonly needs: readonly number[];
}

/** Replays the trace into an empty document; resolves once every edit is acknowledged and every author has all. */
export async function replayThroughYjs(
  place: Place,
  doc_id: string,
  trace: Trace,
  in_flight: number,
): Promise<Figures> {
  const ids = Array.from({ length: trace.agents }, (_, agent) => agent + 1);
  const edits = produce(trace, ids);
  const acks = new Latencies();
  const authors = await Promise.all(
    edits.map((own, agent) => Author.connect(place, doc_id, { ids, agent, edits: own, in_flight, acks })),
  );
  const begun = performance.now();
  await Promise.all(authors.map((author) => author.sendAll()));
  const ms = performance.now() - begun;
  if (authors.length > 1) await Promise.all(authors.map((author) => author.shows(trace.end)));
  for (const author of authors) author.leave();
  return { edits: trace.steps.length, ms, acks };
}

/** The edits of each author, who writes under the clientID at its place in `ids`. */
export function produce({ agents, steps }: Trace, ids: readonly number[]): Edit[][] {
  const edits: Edit[][] = ids.map(() => []);
  const clocks: number[][] = ids.map(() => [0]);
  const desks = ids.map((id) => {
    const doc = new Y.Doc();
    doc.clientID = id;
    const astral = new Astral();
    let made: Uint8Array = new Uint8Array();
    doc.on('update', (update: Uint8Array) => {
      made = update;
    });
    doc.getText(TEXT_ROOT).observe((event, { local }) => {
      if (!local) astral.apply(event.delta as Parameters<Astral['apply']>[0]);
    });
    return { doc, astral, shown: new Array<number>(agents).fill(0), made: () => made };
  });
  for (const { agent, patches, knows } of steps) {
    const desk = desks[agent];
    if (desk === undefined) throw new Error(`the trace has no author ${agent}`);
    const text = desk.doc.getText(TEXT_ROOT);
    for (const [other, count] of knows.entries())
      for (; other !== agent && (desk.shown[other] ?? 0) < count; desk.shown[other] = (desk.shown[other] ?? 0) + 1)
        Y.applyUpdate(desk.doc, edits[other]?.[desk.shown[other] ?? 0]?.update ?? new Uint8Array());
    desk.doc.transact(() => {
      for (const ops of patchDeltas(patches, desk.astral)) write(text, ops);
    });
    const update = desk.made();
    const needs = knows.map((count, other) => (other === agent ? 0 : (clocks[other]?.[count] ?? 0)));
    edits[agent]?.push({ update, frame: updateFrame(update), needs });
    clocks[agent]?.push(Y.getState(desk.doc.store, ids[agent] ?? 0));
  }
  for (const { doc } of desks) doc.destroy();
  return edits;
}

function write(text: Y.Text, ops: ReturnType<typeof patchDeltas>[number]): void {
  let index = 0;
  for (const op of ops) {
    if (op.retain !== undefined) index += op.retain;
    else if (op.delete !== undefined) text.delete(index, op.delete);
    else if (typeof op.insert === 'string') {
      text.insert(index, op.insert);
      index += op.insert.length;
    }
  }
}

interface AuthorParts {
  readonly ids: readonly number[];
  readonly agent: number;
  readonly edits: readonly Edit[];
  readonly in_flight: number;
  readonly acks: Latencies;
}

class Author {
  readonly #doc = new Y.Doc();
  readonly #sent_at: number[] = [];
  /** Update frames that an ack covered. */
  #acked = 0;
  #wake: () => void = () => {};
  #failure: Error | null = null;

  private constructor(
    private readonly socket: WebSocket,
    private readonly parts: AuthorParts,
  ) {}

  static async connect(place: Place, doc_id: string, parts: AuthorParts): Promise<Author> {
    const socket = new WebSocket(doorUrl(place, 'yjs', doc_id, { acks: '2' }));
    socket.binaryType = 'arraybuffer';
    const author = new Author(socket, parts);
    const synced = Promise.withResolvers<void>();
    socket.onopen = () => author.#send(step1Frame(Uint8Array.of(0)));
    socket.onmessage = ({ data }) => {
      if (author.#take(new Uint8Array(data as ArrayBuffer))) synced.resolve();
    };
    socket.onclose = ({ code, reason }) => {
      author.#fail(new Error(`the socket was closed with ${code} ${reason}`));
      synced.reject(author.#failure);
    };
    await synced.promise;
    return author;
  }

  /** Sends every edit as soon as it may go; resolves once all are acknowledged. */
  async sendAll(): Promise<void> {
    const { edits, in_flight, ids } = this.parts;
    for (const { frame, update, needs } of edits) {
      await this.#until(
        () => this.#sent_at.length - this.#acked < in_flight && needs.every((clock, i) => this.#clock(i) >= clock),
      );
      // Alone, an author is sent nothing that could be compared.
      if (ids.length > 1) Y.applyUpdate(this.#doc, update);
      this.#sent_at.push(performance.now());
      this.#send(frame);
    }
    await this.#until(() => this.#acked === edits.length);
  }

  /** Resolves once what came through the server reads `text`, together with the author's own edits. */
  async shows(text: string): Promise<void> {
    const shown = this.#doc.getText(TEXT_ROOT);
    const patience = setTimeout(
      () => this.#fail(new Error(`author ${this.parts.agent} was not sent what makes the end of the trace`)),
      SHOWN_WITHIN_MS,
    );
    await this.#until(() => shown.length === text.length && shown.toString() === text);
    clearTimeout(patience);
  }

  leave(): void {
    this.socket.onclose = null;
    this.socket.close();
  }

  #clock(agent: number): number {
    return Y.getState(this.#doc.store, this.parts.ids[agent] ?? 0);
  }

  /** Takes a frame; true for the one that says that everything was sent. */
  #take(frame: Uint8Array): boolean {
    const decoder = decoding.createDecoder(frame);
    const type = decoding.readVarUint(decoder);
    if (type === MESSAGE.ACK) this.#ack(decoder);
    if (type !== MESSAGE.SYNC) return false;
    const step = decoding.readVarUint(decoder);
    if (step === SYNC.STEP1) return false;
    Y.applyUpdate(this.#doc, decoding.readVarUint8Array(decoder));
    this.#wake();
    return step === SYNC.STEP2;
  }

  #ack(decoder: decoding.Decoder): void {
    decoding.readVarUint(decoder); // the epoch
    decoding.readVarUint(decoder); // the revision
    if (!decoding.hasContent(decoder)) return;
    const covered = decoding.readVarUint(decoder);
    const now = performance.now();
    for (; this.#acked < covered; this.#acked++) this.parts.acks.add(now - (this.#sent_at[this.#acked] ?? now));
    this.#wake();
  }

  #send(frame: Uint8Array): void {
    this.socket.send(frame as Uint8Array<ArrayBuffer>);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.#failure !== null) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure !== null) throw this.#failure;
  }
}
