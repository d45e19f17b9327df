/**
 * Sockets that send what no client would, one frame at a time. After each frame they ask something that every open socket is
 * answered, so that it is known of each single frame what the server made of it: the socket is open still, or it was closed
 * with a code. A socket that neither closes nor answers is a fault.
 */
import * as decoding from 'lib0/decoding';
import * as Y from 'yjs';
import type { Random } from '../../src/base/random.ts';
import { HOCUSPOCUS, HOCUSPOCUS_AUTH } from '../../src/protocol/hocuspocus-wire.ts';
import { TEXT_ROOT } from '../../src/protocol/snapshot.ts';
import { awarenessFrame, MESSAGE, SYNC, step1Frame, step2Frame, updateFrame } from '../../src/protocol/yjs-wire.ts';
import { WAIT_MS_MAX } from '../support/arrivals.ts';
import { messageFrame, syncFrame, tokenFrame } from '../support/hocuspocus.ts';
import type { TestServer, TestUser } from '../support/server.ts';
import { below, mutateBytes, mutateText, mutateValue, pick } from './mutate.ts';

/** A frame. */
export type Frame = string | Uint8Array<ArrayBuffer>;

/** What became of a frame: the socket is open, or was closed with this code. */
export type Fate = 'open' | number;

/** One attacker on one document through one door. */
export abstract class Attacker {
  #socket: WebSocket | null = null;
  #answered: ((fate: Fate) => void) | null = null;
  /** What the last socket to be opened was told first. */
  #opened: (() => void) | null = null;

  constructor(
    protected readonly server: TestServer,
    protected readonly doc_id: string,
    protected readonly user: TestUser,
    protected readonly random: Random,
  ) {}

  /** Sends the frame, on a new socket if the last one was closed; tells what came of it. */
  async send(frame: Frame): Promise<Fate> {
    this.#socket ??= await this.#open();
    const socket = this.#socket;
    const fate = await this.#settles(() => {
      socket.send(frame);
      socket.send(this.probe());
    });
    if (fate !== 'open') this.#socket = null;
    return fate;
  }

  /** Hangs up. */
  leave(): void {
    this.#socket?.close(1000);
  }

  /** A frame as no client would send it, or now and then a good one. */
  abstract frame(): Frame;

  protected abstract get path(): string;
  /** Said first, when the socket opens. */
  protected greeting(): Frame | null {
    return null;
  }
  /** What is always answered. */
  protected abstract probe(): Frame;
  /** Reads what came: the server's first word, the answer to a probe, or something else. */
  protected abstract read(data: string | ArrayBuffer): 'first' | 'answer' | 'other';

  async #open(): Promise<WebSocket> {
    const socket = new WebSocket(this.server.ws_url + this.path);
    socket.binaryType = 'arraybuffer';
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#opened = resolve;
    const timer = setTimeout(() => reject(new Error('the door did not open')), WAIT_MS_MAX);
    socket.onopen = () => {
      const greeting = this.greeting();
      if (greeting !== null) socket.send(greeting);
    };
    socket.onmessage = ({ data }) => {
      const word = this.read(data as string | ArrayBuffer);
      if (word === 'first') this.#opened?.();
      if (word === 'answer') this.#answered?.('open');
    };
    socket.onclose = ({ code }) => {
      this.#answered?.(code);
      reject(new Error(`closed with ${code} before it was open`));
    };
    await promise.finally(() => clearTimeout(timer));
    return socket;
  }

  async #settles(act: () => void): Promise<Fate> {
    const { promise, resolve, reject } = Promise.withResolvers<Fate>();
    this.#answered = resolve;
    const timer = setTimeout(() => reject(new Error('neither closed nor answered')), WAIT_MS_MAX);
    act();
    return await promise.finally(() => clearTimeout(timer));
  }
}

/** Says JSON, nearly. */
export class JsonAttacker extends Attacker {
  #rev = 0;
  #seq = 0;

  frame(): Frame {
    const { random } = this;
    const kind = random.float();
    if (kind < 0.02) return new Uint8Array(random.bytes(1 + below(random, 60)));
    if (kind < 0.04) return random.bytes(1 + below(random, 200)).join(' ');
    const message = this.#message();
    if (kind < 0.15) return JSON.stringify(message);
    if (kind < 0.2) return mutateText(random, JSON.stringify(message));
    return JSON.stringify(mutateValue(random, message)) ?? 'null';
  }

  protected get path(): string {
    return `/v1/collab/${this.doc_id}?token=${this.user.token}`;
  }

  protected probe(): Frame {
    return '{"type":"ping"}';
  }

  protected read(data: string | ArrayBuffer): 'first' | 'answer' | 'other' {
    const event = JSON.parse(data as string);
    if (event.type === 'ready') [this.#rev, this.#seq] = [event.rev, event.last_seq];
    if (event.type === 'edit') this.#rev = event.changes.rev;
    if (event.type === 'edit' && event.user_id === this.user.user_id && event.seq > this.#seq) this.#seq = event.seq;
    return event.type === 'ready' ? 'first' : event.type === 'pong' ? 'answer' : 'other';
  }

  #message(): unknown {
    const { random } = this;
    const state = { cursor: { index: below(random, 50), length: 0 }, user: { name: 'Eve', id: 'eve' }, more: [1, 'x'] };
    if (random.float() < 0.2) return { type: 'presence', status: 'active', state };
    if (random.float() < 0.1) return { type: 'auth', token: this.user.token };
    const delta = pick(random, [
      [{ insert: 'Hallo ' }],
      [{ retain: below(random, 6) }, { insert: 'ö\u{1f600}', attributes: { bold: true, link: 'https://example.org' } }],
      [{ retain: below(random, 6) }, { delete: 1 + below(random, 5) }],
      [{ insert: { image: 'https://example.org/a.png' } }],
      [{ retain: 1, attributes: { color: 'red', bold: null } }],
    ]);
    return { type: 'edit', changes: { base_rev: this.#rev, delta }, seq: this.#seq + 1, user_id: this.user.user_id };
  }
}

/** Says Yjs, nearly. It has a document of its own that it types into, and whose updates it breaks. */
abstract class BinaryAttacker extends Attacker {
  readonly #doc = new Y.Doc();
  readonly #updates: Uint8Array[] = [];
  /** What the server said that it has: asking from there on brings an answer that stays small. */
  protected known: Uint8Array = Uint8Array.of(0);

  constructor(...args: ConstructorParameters<typeof Attacker>) {
    super(...args);
    this.#doc.clientID = this.random.uint32();
    this.#doc.on('update', (update) => void this.#updates.push(update));
  }

  frame(): Frame {
    const { random } = this;
    const kind = random.float();
    if (kind < 0.05) return this.wrap(random.bytes(1 + below(random, 60)), false);
    if (kind < 0.08) return new Uint8Array(random.bytes(1 + below(random, 60)));
    if (kind < 0.09) return 'text, on a binary door';
    const whole = this.message();
    if (kind < 0.4) return this.wrap(whole, false);
    const mutated = mutateBytes(random, whole, this.message());
    return this.wrap(mutated, random.float() < 0.1);
  }

  /** A whole message of the Yjs wire. */
  protected message(): Uint8Array {
    const { random } = this;
    const text = this.#doc.getText(TEXT_ROOT);
    switch (below(random, 8)) {
      case 0:
        return step1Frame(Y.encodeStateVector(this.#doc));
      case 1:
        return step2Frame(Y.encodeStateAsUpdate(this.#doc));
      case 2: {
        const state = JSON.stringify({ user: { name: 'Eve', color: '#f00' }, cursor: { anchor: null, head: null } });
        return awarenessFrame([{ client: this.#doc.clientID, clock: below(random, 100), state }]);
      }
      case 3:
        return Uint8Array.of(MESSAGE.QUERY_AWARENESS);
      default:
        this.#type(text);
        return updateFrame(pick(random, this.#updates.slice(-5)));
    }
  }

  /** Puts what the door wants around a message; `broken`: breaks that, too. */
  protected abstract wrap(message: Uint8Array, broken: boolean): Frame;

  #type(text: Y.Text): void {
    const { random } = this;
    const at = below(random, text.length + 1);
    switch (below(random, 6)) {
      case 0:
        text.delete(at, Math.min(3, text.length - at));
        break;
      case 1:
        this.#doc.getMap('other').set(`k${below(random, 5)}`, new Y.Array());
        break;
      case 2:
        text.insertEmbed(at, { image: 'x' });
        break;
      case 3:
        text.format(0, text.length, { bold: pick(random, [true, null]) });
        break;
      default:
        text.insert(at, 'äß\u{1f600}'.slice(0, 1 + below(random, 4)));
    }
    if (this.#updates.length === 0) text.insert(0, 'x');
  }
}

/** On the Yjs door. */
export class YjsAttacker extends BinaryAttacker {
  protected get path(): string {
    return `/v1/yjs/${this.doc_id}?token=${this.user.token}`;
  }

  protected probe(): Frame {
    return new Uint8Array(step1Frame(this.known));
  }

  protected read(data: string | ArrayBuffer): 'first' | 'answer' | 'other' {
    const decoder = decoding.createDecoder(new Uint8Array(data as ArrayBuffer));
    if (decoding.readVarUint(decoder) !== MESSAGE.SYNC) return 'other';
    const step = decoding.readVarUint(decoder);
    if (step === SYNC.STEP1) this.known = decoding.readVarUint8Array(decoder).slice();
    return step === SYNC.STEP1 ? 'first' : step === SYNC.STEP2 ? 'answer' : 'other';
  }

  protected wrap(message: Uint8Array): Frame {
    return new Uint8Array(message);
  }
}

/** On the Hocuspocus door. */
export class HocuspocusAttacker extends BinaryAttacker {
  protected get path(): string {
    return '/v1/hocuspocus';
  }

  protected override greeting(): Frame {
    return this.probe();
  }

  /** A token is answered whether the document is open on this socket, was closed, or is refused. */
  protected probe(): Frame {
    return new Uint8Array(tokenFrame(this.doc_id, this.user.token));
  }

  protected read(data: string | ArrayBuffer): 'first' | 'answer' | 'other' {
    const decoder = decoding.createDecoder(new Uint8Array(data as ArrayBuffer));
    if (decoder.arr.length === 1 || decoding.readVarString(decoder) !== this.doc_id) return 'other';
    const type = decoding.readVarUint(decoder);
    if (type === HOCUSPOCUS.SYNC && decoding.readVarUint(decoder) === SYNC.STEP1) {
      this.known = decoding.readVarUint8Array(decoder).slice();
      return 'first';
    }
    return type === HOCUSPOCUS.AUTH ? 'answer' : 'other';
  }

  protected wrap(message: Uint8Array, broken: boolean): Frame {
    const { random } = this;
    if (broken) return new Uint8Array(mutateBytes(random, messageFrame(this.doc_id, 0, message), message));
    const odd = random.float();
    if (odd < 0.03) return new Uint8Array(tokenFrame(this.doc_id, mutateText(random, this.user.token)));
    if (odd < 0.05) return new Uint8Array(messageFrame(this.doc_id, HOCUSPOCUS.CLOSE));
    if (odd < 0.08) return new Uint8Array(syncFrame(pick(random, ['', 'x', `${this.doc_id}\0s`, '\0']), message));
    if (odd < 0.1)
      return new Uint8Array(messageFrame(this.doc_id, HOCUSPOCUS.AUTH, Uint8Array.of(HOCUSPOCUS_AUTH.AUTHENTICATED)));
    const named = messageFrame(this.doc_id, 0).slice(0, -1);
    return Uint8Array.from([...named, ...message]);
  }
}
