/**
 * The names under which this node's Hocuspocus sockets hold a document. Their frames carry the name in front, so each
 * name is a framing of its own, with a topic of its own: a frame is made once for all who share the name. As a rule that
 * is everybody (the name is the document's id); with session awareness it is one socket.
 */
import type { DocumentName } from '../protocol/hocuspocus-wire.ts';

/** A name of a document, while somebody here uses it. */
export interface NamedTopic {
  readonly name: DocumentName;
  /** Drawn here, because a client may write into its name what it likes. */
  readonly topic: string;
  /** Sockets subscribed to it. */
  users: number;
}

/** See the head of this file. */
export class NamedTopics {
  readonly #documents = new Map<string, Map<string, NamedTopic>>();
  #drawn = 0;

  /** A socket uses a name; it is to subscribe to its topic. */
  use(doc_id: string, name: DocumentName): NamedTopic {
    const names = this.#documents.get(doc_id) ?? new Map<string, NamedTopic>();
    const topic = names.get(name.text) ?? { name, topic: `h:${this.#drawn++}`, users: 0 };
    topic.users += 1;
    names.set(name.text, topic);
    this.#documents.set(doc_id, names);
    return topic;
  }

  /** The socket does not use it any more. */
  release(doc_id: string, topic: NamedTopic): void {
    topic.users -= 1;
    if (topic.users > 0) return;
    const names = this.#documents.get(doc_id);
    names?.delete(topic.name.text);
    if (names?.size === 0) this.#documents.delete(doc_id);
  }

  /** The names that a document has here; null when it has none. */
  of(doc_id: string): Iterable<NamedTopic> | null {
    return this.#documents.get(doc_id)?.values() ?? null;
  }
}
