/**
 * Fan-out to this node's sockets by Bun's native publish: a frame is encoded once and handed to the kernel for everyone.
 * Three topics per document, one per kind of frame, and one for each name that it has on Hocuspocus sockets.
 */
import type { Server, ServerWebSocket } from 'bun';
import type { Fanout, YjsMember } from '../actors/member.ts';
import { named } from '../protocol/hocuspocus-wire.ts';
import type { EventPublisher } from '../store/channels.ts';
import { type NamedTopic, NamedTopics } from './named-topics.ts';
import type { SocketData } from './parts.ts';

/** Topic names of a document. */
export const topics = {
  yjs: (doc_id: string): string => `y:${doc_id}`,
  acks: (doc_id: string): string => `a:${doc_id}`,
  json: (doc_id: string): string => `j:${doc_id}`,
};

/** A Yjs member that knows its own socket, so that a frame can go to everyone else. */
export interface PublishingMember extends YjsMember {
  readonly socket: ServerWebSocket<SocketData>;
  /** What it is subscribed to instead of the Yjs topic, when its frames carry a name. */
  readonly named: NamedTopic | null;
}

/** The fan-out of a node. The server is known only after the parts that it serves are made. */
export class TopicFanout implements Fanout {
  readonly names = new NamedTopics();
  #server: Server<SocketData> | null = null;

  constructor(
    private readonly publisher: EventPublisher,
    private readonly publishFailed: () => void,
  ) {}

  /** Sets the server whose sockets are published to. */
  serve(server: Server<SocketData>): void {
    this.#server = server;
  }

  yjs(doc_id: string, frame: Uint8Array, except: YjsMember | null): void {
    const author = except as PublishingMember | null;
    const own = author?.named ?? null;
    const topic = topics.yjs(doc_id);
    if (author !== null && own === null) author.socket.publishBinary(topic, frame);
    else this.#server?.publish(topic, frame);
    const names = this.names.of(doc_id);
    if (names !== null) this.#underNames(names, frame, author);
  }

  acks(doc_id: string, frame: Uint8Array): void {
    this.#server?.publish(topics.acks(doc_id), frame);
  }

  json(doc_id: string, text: string): void {
    this.#server?.publish(topics.json(doc_id), text);
  }

  remote(doc_id: string, text: string, heard: boolean, done: (listeners: number) => void): void {
    this.publisher.publish(doc_id, text, heard, (receivers) => {
      if (receivers === null) this.publishFailed();
      else done(receivers);
    });
  }

  #underNames(names: Iterable<NamedTopic>, frame: Uint8Array, author: PublishingMember | null): void {
    for (const { name, topic, users } of names) {
      // Only under the author's own name: another one on the same socket is another member.
      if (author === null || topic !== author.named?.topic) this.#server?.publish(topic, named(name, frame));
      else if (users > 1) author.socket.publishBinary(topic, named(name, frame));
    }
  }
}
