/**
 * Somebody with Concord's own JSON client, as it is, on a socket of the simulation. What it hears of others is noted by
 * revision, so that an ack can be held against the journal row by row.
 */
import type { Op } from 'quill-delta';
import { ConcordClient } from '../../client/client.ts';
import type { Socket } from '../../client/environment.ts';
import { CLOSE } from '../../src/protocol/close.ts';
import { flatText, randomDelta } from '../fuzz/edits.ts';
import type { Line } from './line.ts';
import { AWAY_MS_MAX, BLOCK_MS_MAX, type Client, connect, type Place } from './place.ts';
import { Host } from './time.ts';

/** See the head of this file. */
export class JsonPerson implements Client {
  readonly client: ConcordClient;
  readonly #host: Host;
  #line: Line | null = null;
  /** `client_id seq` of each revision since the last whole content. */
  #seen = new Map<number, string>();

  constructor(readonly place: Place) {
    const { time, name, dice } = place;
    this.#host = new Host(name, time);
    const clock = this.#host.clock();
    this.client = new ConcordClient({
      url: 'http://sim',
      doc_id: place.doc_id,
      client_id: place.client_id,
      token: () => 'token',
      environment: {
        openSocket: (url) => this.#open(url),
        now: () => clock.monotonic(),
        after: (delay_ms, callback) => {
          const timer = clock.after(delay_ms, callback);
          return () => timer.cancel();
        },
        random: () => dice.random.float(),
        randomId: () => dice.random.id(),
      },
    });
    this.client.on('refused', ({ code, message, delta }) =>
      place.fault(`${name} was refused an edit: ${code} ${message} ${JSON.stringify(delta.ops)}`),
    );
    this.client.on('connection', (state) => {
      // An older socket of its own, of whose end the node had not heard, may come in behind the present one: how long its
      // joining was on the way between two nodes nobody knows.
      if (state.kind === 'closed' && state.code === CLOSE.REPLACED)
        this.#host.receive(1_000, () => this.client.connect());
      else if (state.kind === 'closed' && state.code !== null)
        place.fault(`${name} was closed for good: ${state.code} ${state.reason}`);
      place.trace.note(name, `line ${state.kind}${state.kind === 'waiting' ? ` ${state.code} ${state.reason}` : ''}`);
    });
    this.client.connect();
  }

  edit(): void {
    const { place, client } = this;
    const text = flatText(client.content.ops);
    const edit = randomDelta(place.dice, text, place.dice.once(3) ? null : place.typed.marker(place.name));
    place.trace.note(place.name, 'types');
    place.typed.edited(edit, text);
    client.apply(edit);
  }

  disturb(how: 'cut' | 'block' | 'away'): void {
    const { place, client } = this;
    const { dice } = place;
    if (how === 'cut') this.#line?.cut();
    else if (how === 'block') this.#line?.block(dice.below(BLOCK_MS_MAX));
    else {
      client.close();
      this.#host.receive(dice.below(AWAY_MS_MAX), () => client.connect());
    }
  }

  calm(): void {
    this.client.connect();
  }

  unrest(): string | null {
    const { client, place } = this;
    if (client.connection.kind !== 'open') return `${place.name} is ${client.connection.kind}`;
    if (client.unacked > 0) return `${place.name} has ${client.unacked} edits that were not acked`;
    return client.rev === place.stored.head_rev
      ? null
      : `${place.name} is at rev ${client.rev}, the journal at ${place.stored.head_rev}`;
  }

  content(): readonly Op[] {
    return this.client.content.ops;
  }

  #open(url: string): Socket {
    const { place } = this;
    const query = new URL(url).searchParams;
    const [epoch, rev] = [query.get('epoch'), query.get('rev')];
    const point = epoch === null || rev === null ? null : { epoch: Number(epoch), rev: Number(rev) };
    const socket: Socket = {
      onopen: null,
      onmessage: null,
      onclose: null,
      onerror: null,
      send: (text) => line.fromClient(text),
      close: () => line.closeFromClient(),
    };
    const line = connect(place, this.#host, 'json', point, {
      receive: (frame) => {
        this.#look(String(frame));
        socket.onmessage?.({ data: frame });
      },
      closed: (code, reason) => socket.onclose?.({ code, reason }),
    });
    this.#line = line;
    return socket;
  }

  /** Holds what the server acks against the journal. */
  #look(text: string): void {
    const event = JSON.parse(text);
    if (event.type === 'ready' && event.content !== undefined) this.#seen = new Map();
    if (event.type === 'edit') this.#seen.set(event.changes.rev, `${event.client_id} ${event.seq}`);
    if (event.type !== 'ack') return;
    const { place } = this;
    if (event.rev > place.stored.head_rev)
      place.fault(`${place.name} heard an ack of rev ${event.rev}; the journal ends at ${place.stored.head_rev}`);
    for (const [rev, seen] of this.#seen) {
      if (rev > event.rev) continue;
      this.#seen.delete(rev);
      const row = place.stored.rows[rev - 1];
      const there = `${row?.client_id} ${row?.seq}`;
      if (there !== seen) place.fault(`${place.name} heard an ack of rev ${rev} as ${seen}; the journal has ${there}`);
    }
  }
}
