/**
 * The {@link DocumentGateway} of a node among many: an edit goes to the document's owner, wherever that is, and whoever
 * reads asks the owner too, since only it knows what is not on disk yet. A document that nobody owns is read from storage,
 * by whichever node is asked; for an edit it is claimed by a node that runs actors.
 */
import { ConcordError, unavailable } from '../../protocol/errors.ts';
import { TIMES } from '../../protocol/limits.ts';
import type { PresenceEntry } from '../../protocol/messages.ts';
import type { NodeIdentity } from '../../store/heads.ts';
import { ElsewhereError } from '../elsewhere.ts';
import type { DocumentGateway, EditRequest, StateAt, TextAt } from '../gateway.ts';

/** What it is made of. */
export interface RoutedGatewayParts {
  /** For what is open here, and for what nobody has. Rejects edits with {@link ElsewhereError} where they belong elsewhere. */
  readonly local: DocumentGateway;
  /** Whether the document is open on this node. */
  isHere(doc_id: string): boolean;
  /** The living node that owns the document, if it is another; null also while that cannot be told. */
  owner(doc_id: string): Promise<NodeIdentity | null>;
  /** Asks that node. */
  call(owner: NodeIdentity, name: CallName, args: readonly unknown[], limit_ms: number): Promise<unknown>;
}

/** What nodes ask each other about documents. */
export type CallName = 'edit' | 'text' | 'state' | 'hasOtherRoots' | 'rev' | 'committed' | 'presence';

/** Beyond what the owner itself waits for storage. */
const ON_THE_WAY_MS = 500;
/** A reader does not wait longer than this for an owner that may be hanging. */
const READ_WITHIN_MS = 2_000;

/** See the head of this file. */
export class RoutedGateway implements DocumentGateway {
  constructor(private readonly parts: RoutedGatewayParts) {}

  async edit(request: EditRequest): Promise<{ readonly rev: number }> {
    return await this.#atOwner('edit', [request], () => this.parts.local.edit(request));
  }

  async hasOtherRoots(doc_id: string): Promise<boolean> {
    return await this.#atOwner('hasOtherRoots', [doc_id], () => this.parts.local.hasOtherRoots(doc_id));
  }

  async text(doc_id: string, rev?: number): Promise<TextAt> {
    return await this.#read('text', [doc_id, rev], () => this.parts.local.text(doc_id, rev));
  }

  async state(doc_id: string, rev?: number): Promise<StateAt> {
    return await this.#read('state', [doc_id, rev], () => this.parts.local.state(doc_id, rev));
  }

  async rev(doc_id: string): Promise<number> {
    return await this.#read('rev', [doc_id], () => this.parts.local.rev(doc_id));
  }

  async committed(doc_id: string, rev?: number): Promise<number> {
    return await this.#read('committed', [doc_id, rev], () => this.parts.local.committed(doc_id, rev));
  }

  async presence(doc_id: string): Promise<readonly PresenceEntry[]> {
    return await this.#read('presence', [doc_id], () => this.parts.local.presence(doc_id));
  }

  /** Here, which claims what nobody owns, or at the owner that this finds. */
  async #atOwner<T>(name: CallName, args: readonly unknown[], here: () => Promise<T>): Promise<T> {
    try {
      return await here();
    } catch (error) {
      if (!(error instanceof ElsewhereError)) throw error;
      return (await this.parts.call(error.owner, name, args, TIMES.rest_durable_wait_ms + ON_THE_WAY_MS)) as T;
    }
  }

  /** At the owner if there is one; an owner that does not answer hides nothing that is on disk. */
  async #read<T>(name: CallName, args: readonly [string, ...unknown[]], here: () => Promise<T>): Promise<T> {
    const [doc_id] = args;
    const owner = this.parts.isHere(doc_id) ? null : await this.parts.owner(doc_id);
    if (owner === null) return await here();
    try {
      return (await this.parts.call(owner, name, args, READ_WITHIN_MS)) as T;
    } catch (error) {
      if (error instanceof ConcordError && error.code === 'UNAVAILABLE') return await here();
      throw error;
    }
  }
}

/** Answers what other nodes ask of this one's documents. */
export function answerCall(local: DocumentGateway, name: string, args: readonly unknown[]): Promise<unknown> {
  const [first, rev] = args as [string, number | undefined];
  switch (name as CallName) {
    case 'edit':
      return local.edit(args[0] as EditRequest);
    case 'text':
      return local.text(first, rev);
    case 'state':
      return local.state(first, rev);
    case 'hasOtherRoots':
      return local.hasOtherRoots(first);
    case 'rev':
      return local.rev(first);
    case 'committed':
      return local.committed(first, rev);
    case 'presence':
      return local.presence(first);
    default:
      // A node of a later version asks what this one does not know yet.
      return Promise.reject(unavailable());
  }
}
