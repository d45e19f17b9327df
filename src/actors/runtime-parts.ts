/** What a document's runtime is lent by its node, and what it tells of itself. */
import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { SizeNews } from './document-size.ts';
import type { QuestionEntry } from './entries.ts';
import type { Fanout } from './member.ts';

/** What the node lends to each of its documents. */
export interface RuntimeParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly fanout: Fanout;
  readonly observer: RuntimeObserver;
  /** Bytes of state that a document may have: see document-size.ts. */
  readonly document_bytes_max: number;
  /** Whether the documents of this node together hold as much unwritten text as they may. */
  nodeIsFull(): boolean;
  /** Finds an edit that memory no longer holds: its event as JSON and its revision. */
  findEdit(doc_id: string, user_id: string, client_id: string, seq: number): Promise<FoundEdit | null>;
  /** How many are connected changed. */
  occupied(members: number): void;
  /** Puts a question that had to wait into the mailbox. */
  again(question: QuestionEntry): void;
  /** Whether everything is saved changed. */
  saved(all: boolean): void;
  /** Somebody else may own the document by now: it is to be looked up. */
  doubted(): void;
}

/** An edit found in the journal. */
export interface FoundEdit {
  readonly rev: number;
  readonly event: string;
}

/** What a document measures. */
export interface RuntimeObserver {
  edits(door: 'json' | 'rest' | 'yjs' | 'hocuspocus', count: number): void;
  fannedOut(duration_ms: number): void;
  /** It came near the size that it may have, or an edit was refused there. */
  sized(doc_id: string, news: SizeNews, bytes: number): void;
}
