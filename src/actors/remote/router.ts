/**
 * Documents for this node's connections, wherever their actors are: the registry opens or claims them here unless a living
 * node owns them; those are reached over the link to it. What is known of a document stays known while somebody here is on
 * it, so finding it again asks nobody.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { CLOSE } from '../../protocol/close.ts';
import { unavailable } from '../../protocol/errors.ts';
import { TIMES } from '../../protocol/limits.ts';
import type { Role } from '../../protocol/messages.ts';
import type { Bus } from '../../store/bus.ts';
import { channelDocument } from '../../store/channels.ts';
import { ElsewhereError } from '../elsewhere.ts';
import type { DocumentFinder, DocumentHandle } from '../handle.ts';
import type { Fanout } from '../member.ts';
import type { Registry } from '../registry.ts';
import type { ChannelMessage } from './event-stream.ts';
import { RemoteDocument, type RemoteDocumentParts } from './remote-document.ts';
import type { Switchboard } from './switchboard.ts';

/** What a router is made of. */
export interface RouterParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly bus: Bus;
  readonly fanout: Fanout;
  readonly registry: Registry;
  readonly switchboard: Switchboard;
  /** Counts gaps in channels. */
  gap(outcome: 'found' | 'repaired'): void;
}

/** See the head of this file. */
export class DocumentRouter implements DocumentFinder {
  readonly #parts: RouterParts;
  readonly #remote = new Map<string, RemoteDocument>();
  readonly #opening = new Map<string, Promise<DocumentHandle>>();
  readonly #timer: Timer;
  #closed = false;

  constructor(parts: RouterParts) {
    this.#parts = parts;
    const { clock, bus } = parts;
    bus.listen({
      message: (channel, message) => this.#hear(channel, message),
      connected: () => {
        for (const document of this.#remote.values()) document.doubt();
      },
    });
    this.#timer = clock.every(TIMES.gateway_look_ms, () => {
      for (const document of [...this.#remote.values()]) document.look();
    });
  }

  /** How many documents are reached elsewhere. */
  get remote(): number {
    return this.#remote.size;
  }

  async find(doc_id: string): Promise<DocumentHandle> {
    if (this.#closed) throw unavailable('This node is shutting down.', 1);
    // One that is being opened does not listen to its channel yet: nobody may join before.
    const under_way = this.#opening.get(doc_id);
    if (under_way !== undefined) return await under_way;
    const known = this.#remote.get(doc_id);
    if (known !== undefined) return known;
    const opening = this.#open(doc_id);
    this.#opening.set(doc_id, opening);
    try {
      return await opening;
    } finally {
      this.#opening.delete(doc_id);
    }
  }

  /** A user's role on a document changed; null: not allowed any more. */
  role(doc_id: string, user_id: string, role: Role | null): void {
    const entry = { kind: 'role', user_id, role } as const;
    this.#remote.get(doc_id)?.push(entry);
    this.#parts.registry.peek(doc_id)?.push(entry);
  }

  /** A document was deleted: whoever serves it stops. */
  deleted(doc_id: string): void {
    void this.#parts.registry.peek(doc_id)?.drain();
  }

  /** Lets go of everything. */
  close(): void {
    this.#closed = true;
    this.#timer.cancel();
  }

  async #open(doc_id: string): Promise<DocumentHandle> {
    const { registry, switchboard } = this.#parts;
    try {
      return await registry.find(doc_id);
    } catch (error) {
      if (!(error instanceof ElsewhereError)) throw error;
      const link = switchboard.toward(error.owner);
      const parts: RemoteDocumentParts = {
        ...this.#parts,
        ended: (document) => {
          link.detach(document);
          if (this.#remote.get(doc_id) === document) this.#remote.delete(doc_id);
        },
      };
      const document = new RemoteDocument(doc_id, link, parts);
      this.#remote.set(doc_id, document);
      link.attach(document);
      await document.listen().catch((refusal: unknown) => {
        document.end(CLOSE.RESTART, 'Redis is away');
        throw refusal;
      });
      return document;
    }
  }

  #hear(channel: string, message: Uint8Array): void {
    const doc_id = channelDocument(channel);
    const document = doc_id === null ? undefined : this.#remote.get(doc_id);
    if (document === undefined) return;
    let read: ChannelMessage;
    try {
      read = JSON.parse(Buffer.from(message.buffer, message.byteOffset, message.length).toString()) as ChannelMessage;
    } catch {
      this.#parts.log.debug({ doc_id }, 'a message on a document channel is not JSON; somebody else writes to it');
      return;
    }
    // Subscribers of one's own are welcome, publishers are not: what lacks a sender is nobody's word.
    if (typeof read?.from === 'string' && typeof read.epoch === 'number' && Array.isArray(read.events))
      document.hear(read);
  }
}
