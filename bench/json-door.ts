/**
 * Replays a trace through the JSON door, one client per author, as its contract has it: each edit is a delta against a
 * revision, one at a time, and the next goes when its own event is back.
 *
 * An author of a concurrent trace types against a text that lacks what others typed lately. Their client has those edits
 * already, so it does what a client does with keystrokes that race with arriving edits: it carries the keystroke over
 * those that its author does not show yet (the *lag*) and these over the keystroke. What was typed after the author's last
 * own edit is left to the server: the edit names the oldest revision that holds all that the author knew, and the server
 * carries it from there. The server's answer must be the very delta that the client expected; anything else is an error.
 *
 * The order in which concurrent edits arrive is not in the trace, and it decides who stays left when two insert at one
 * place. The traces are said to have no such inserts, but where deletions had emptied the space between two places they
 * do, and their `endContent` keeps the first author's text left. So the first author is given the faster line: of two
 * concurrent edits theirs arrives first. Every order is a real one; this is the one whose outcome the trace records.
 *
 * More than two authors would need edits taken out of the middle of the lag, which positions alone cannot do (it is what
 * CRDTs are for): use the Yjs door for those.
 */
import Delta, { type Op } from 'quill-delta';
import type { DeltaOps } from '../src/protocol/content/delta.ts';
import type { AckEvent, EditEvent, ReadyEvent } from '../src/protocol/messages.ts';
import { type Figures, Latencies } from './figures.ts';
import { doorUrl, type Place } from './place.ts';
import { Astral, type Patch, patchDeltas, type Step, type Trace } from './trace.ts';

const AUTHORS_MAX = 2;

/** Replays the trace into an empty document; resolves once every edit is acknowledged. */
export async function replayThroughJson(place: Place, doc_id: string, trace: Trace): Promise<Figures> {
  if (trace.agents > AUTHORS_MAX)
    throw new Error(`the trace has ${trace.agents} authors; the JSON door replays ${AUTHORS_MAX} at most`);
  const acks = new Latencies();
  const authors = await Promise.all(Array.from({ length: trace.agents }, () => Author.connect(place, doc_id, acks)));
  const begun = performance.now();
  for (const step of arrival(trace)) {
    const other = 1 - step.agent;
    await authors[step.agent]?.type(step.patches, authors[other]?.editsAfter(step.knows[other] ?? 0) ?? 0);
  }
  await Promise.all(authors.map((author) => author.settled()));
  const ms = performance.now() - begun;
  for (const author of authors) author.leave();
  return { edits: authors.reduce((sum, { edits }) => sum + edits, 0), ms, acks };
}

/** The steps in the order in which they reach the server: of concurrent ones, those of the first author come first. */
function arrival({ agents, steps }: Trace): Step[] {
  const waiting = Array.from({ length: agents }, (_, agent) => steps.filter((step) => step.agent === agent));
  const arrived = new Array<number>(agents).fill(0);
  const order: Step[] = [];
  while (order.length < steps.length) {
    const agent = waiting.findIndex((own, i) =>
      own[arrived[i] ?? 0]?.knows.every((count, other) => count <= (arrived[other] ?? 0)),
    );
    const step = waiting[agent]?.[arrived[agent] ?? 0];
    if (step === undefined) throw new Error('the trace has transactions that wait for each other');
    arrived[agent] = (arrived[agent] ?? 0) + 1;
    order.push(step);
  }
  return order;
}

/** An edit of another author that is here and not yet shown. */
interface Unseen {
  readonly rev: number;
  /** Against the author's text with the unseen ones before it. */
  delta: Delta;
}

interface Failure {
  readonly type: 'error';
  readonly code: string;
  readonly message: string;
}

class Author {
  readonly #socket: WebSocket;
  readonly #client_id: string;
  readonly #astral = new Astral();
  #seq = 0;
  /** How many edits the first n steps made. */
  readonly #edits_after = [0];
  /** The last own revision, and those of the others' edits: index n − 1 holds that of their nth. */
  #own_rev = 0;
  readonly #others: number[] = [];
  /** How many of the others' edits the author's text shows. */
  #shown = 0;
  #lag: Unseen[] = [];
  /** The edit on its way, carried over what has arrived. */
  #pending: Delta | null = null;
  readonly #sent: { readonly rev: number; readonly at: number }[] = [];
  #sent_at = 0;
  #wake: () => void = () => {};
  #failure: Error | null = null;

  private constructor(
    socket: WebSocket,
    client_id: string,
    private readonly acks: Latencies,
  ) {
    this.#socket = socket;
    this.#client_id = client_id;
  }

  static async connect(place: Place, doc_id: string, acks: Latencies): Promise<Author> {
    const client_id = Bun.randomUUIDv7();
    const socket = new WebSocket(doorUrl(place, 'collab', doc_id, { client_id }));
    const author = new Author(socket, client_id, acks);
    const ready = Promise.withResolvers<void>();
    socket.onmessage = ({ data }) => {
      const event = JSON.parse(data as string) as ReadyEvent | EditEvent | AckEvent | Failure;
      if (event.type === 'ready') ready.resolve();
      else author.#take(event);
    };
    socket.onclose = ({ code, reason }) => {
      author.#fail(new Error(`the socket was closed with ${code} ${reason}`));
      ready.reject(author.#failure);
    };
    await ready.promise;
    return author;
  }

  /** How many edits it has made. */
  get edits(): number {
    return this.#seq;
  }

  /** How many edits its first `steps` steps made: what came to nothing made none. */
  editsAfter(steps: number): number {
    return this.#edits_after[steps] ?? 0;
  }

  /** Makes one edit on a text that shows `known` edits of the other author; resolves when its own event is back. */
  async type(patches: readonly Patch[], known: number): Promise<void> {
    await this.#until(() => this.#others.length >= known);
    this.#show(known);
    let delta = patchDeltas(patches, this.#astral).reduce((all, ops) => all.compose(new Delta(ops)), new Delta());
    const base_rev = Math.max(this.#own_rev, this.#others[known - 1] ?? 0);
    let at_base = delta;
    for (const unseen of this.#lag) {
      const carried = unseen.delta.transform(delta, true);
      unseen.delta = delta.transform(unseen.delta, false);
      delta = carried;
      if (unseen.rev <= base_rev) at_base = delta;
    }
    if (at_base.ops.length > 0) {
      this.#pending = delta;
      this.#seq += 1;
      this.#sent_at = performance.now();
      this.#socket.send(JSON.stringify({ type: 'edit', changes: { base_rev, delta: at_base.ops }, seq: this.#seq }));
      await this.#until(() => this.#pending === null);
    }
    this.#edits_after.push(this.#seq);
  }

  /** Resolves once every edit is acknowledged. */
  async settled(): Promise<void> {
    await this.#until(() => this.#sent.length === 0);
  }

  leave(): void {
    this.#socket.onclose = null;
    this.#socket.close();
  }

  /** The author's text comes to show the others' first `count` edits. */
  #show(count: number): void {
    while (this.#shown < count) {
      const unseen = this.#lag.shift();
      if (unseen !== undefined) this.#astral.apply(unseen.delta.ops as DeltaOps);
      this.#shown += 1;
    }
  }

  #take(event: EditEvent | AckEvent | Failure): void {
    if (event.type === 'error') return this.#fail(new Error(`${event.code}: ${event.message}`));
    if (event.type === 'ack') return this.#acked(event.rev);
    if (event.type !== 'edit') return;
    const { rev, delta } = event.changes;
    if (event.client_id === this.#client_id) {
      if (canonical(delta) !== canonical(this.#pending?.ops ?? []))
        this.#fail(new Error(`revision ${rev} is not what the client expected: ${JSON.stringify(delta)}`));
      this.#pending = null;
      this.#own_rev = rev;
      this.#sent.push({ rev, at: this.#sent_at });
    } else {
      const arrived = new Delta(delta);
      this.#lag.push({ rev, delta: this.#pending === null ? arrived : this.#pending.transform(arrived, false) });
      if (this.#pending !== null) this.#pending = arrived.transform(this.#pending, true);
      this.#others.push(rev);
    }
    this.#wake();
  }

  #acked(rev: number): void {
    const now = performance.now();
    while (this.#sent[0] !== undefined && this.#sent[0].rev <= rev) {
      this.acks.add(now - this.#sent[0].at);
      this.#sent.shift();
    }
    this.#wake();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }

  /** Resolves when an event makes `condition` true; rejects when the connection fails first. */
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

/** Equal for deltas that differ only in how they are written down. */
function canonical(ops: readonly Op[]): string {
  return JSON.stringify(ops.reduce((delta, op) => delta.push(op), new Delta()).chop().ops);
}
