/**
 * The gateway's end of a link: it tells what comes back to whoever it is for, a document, an edit or a call. When it breaks,
 * its documents end and its calls fail; whether what they asked for took effect is then unknown.
 */

import { CLOSE } from '../../protocol/close.ts';
import { ConcordError, unavailable } from '../../protocol/errors.ts';
import type { Item, Packet, ToGateway, ToOwner, WireError } from '../../protocol/node-wire.ts';
import type { NodeIdentity } from '../../store/heads.ts';
import { notServed } from '../elsewhere.ts';
import type { EditOutcome } from '../entries.ts';
import type { Link } from './link.ts';
import type { OwnerLink, RemoteDocument } from './remote-document.ts';

interface Waiting {
  answered(item: Extract<ToGateway, { readonly t: 'applied' | 'answer' }>): void;
  failed(error: ConcordError): void;
}

/** See the head of this file. */
export class GatewayLink implements OwnerLink {
  readonly owner: NodeIdentity;
  readonly #link: Link;
  readonly #documents = new Map<string, RemoteDocument>();
  readonly #waiting = new Map<number, Waiting>();
  #next_call = 1;
  #ended = false;

  constructor(owner: NodeIdentity, makeLink: (deliver: (item: Item) => void) => Link) {
    this.owner = owner;
    this.#link = makeLink((item) => this.#deliver(item as ToGateway));
  }

  /** Whether anybody depends on it. */
  get busy(): boolean {
    return this.#documents.size > 0 || this.#waiting.size > 0;
  }

  get unanswered_ms(): number {
    return this.#link.unanswered_ms;
  }

  /** Begins to hand a document what is for it. */
  attach(document: RemoteDocument): void {
    this.#documents.set(document.doc_id, document);
  }

  /** Stops that. */
  detach(document: RemoteDocument): void {
    if (this.#documents.get(document.doc_id) === document) this.#documents.delete(document.doc_id);
  }

  post(item: ToOwner): void {
    this.#link.post(item);
  }

  edit(item: Omit<Extract<ToOwner, { readonly t: 'edit' }>, 'call'>, outcome: EditOutcome): void {
    const call = this.#wait({
      // Of an edit that is not known from before, everybody hears on the channel, its author too.
      answered: (answer) =>
        answer.t === 'applied' && outcome.applied(answer.rev, answer.event ?? '', answer.event !== null),
      failed: (error) => outcome.refused(error),
    });
    this.#link.post({ ...item, call });
  }

  /** Asks the owner by name. Rejects with its refusal, or UNAVAILABLE when the link breaks. */
  call(name: string, args: readonly unknown[]): Promise<unknown> {
    if (this.#ended) return Promise.reject(notServed());
    return new Promise((resolve, reject) => {
      const call = this.#wait({
        answered: (answer) => answer.t === 'answer' && resolve(answer.value),
        failed: reject,
      });
      this.#link.post({ t: 'call', call, name, args });
    });
  }

  /** Takes a packet. Throws when it cannot be understood. */
  receive(packet: Packet): void {
    this.#link.receive(packet);
  }

  /** Sends what waits for the end of the turn. */
  flush(): void {
    this.#link.flush();
  }

  /** It broke: see the head of this file. */
  end(): void {
    this.#ended = true;
    this.#link.close();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const document of [...this.#documents.values()]) document.end(CLOSE.RESTART, 'the document moved; reconnect');
    for (const { failed } of waiting) failed(unavailable('The owner of the document is gone; try again.', 1));
  }

  #wait(waiting: Waiting): number {
    const call = this.#next_call++;
    this.#waiting.set(call, waiting);
    return call;
  }

  #deliver(item: ToGateway): void {
    switch (item.t) {
      case 'applied':
      case 'answer':
      case 'refused': {
        const waiting = this.#waiting.get(item.call);
        this.#waiting.delete(item.call);
        if (item.t === 'refused') waiting?.failed(asError(item.error));
        else waiting?.answered(item);
        return;
      }
      default:
        this.#documents.get(item.doc)?.receive(item);
    }
  }
}

/** What another node refused, as an error of this one. */
function asError({ code, message, details, retry_after_s }: WireError): ConcordError {
  return new ConcordError(code, message, details, retry_after_s);
}
