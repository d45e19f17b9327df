/**
 * What a document's actor asks of PostgreSQL, as two ports: {@link DocumentStore} for finding, claiming and reading, and
 * {@link JournalStore} for writing, on connections of its own. The actors know these alone, so that the same actors also run
 * against storage that is played in memory, where every order of events can be had from a seed. What the fence refuses is
 * said by the statements behind them (heads.ts, updates.ts), and whoever plays storage has to keep to exactly that.
 *
 * A rejection that `isStorageAway` knows means that nobody can say whether the statement took effect.
 */
import {
  claimHead,
  type Head,
  heldDocuments,
  type NodeIdentity,
  readHead,
  reclaimHeads,
  releaseHead,
} from './heads.ts';
import type { Sql } from './postgres.ts';
import { readSnapshot, type Snapshot } from './snapshots.ts';
import {
  type Append,
  appendUpdates,
  epochOfRev,
  findBySeq,
  type JournalRow,
  lastSeq,
  readDeltas,
  readMissed,
  readTail,
} from './updates.ts';

/** A document and the claim that somebody holds it by. */
export interface ClaimedDocument {
  readonly doc_id: string;
  readonly claim_id: string;
}

/** Where a document's journal stands. */
export interface HeadPosition {
  readonly epoch: number;
  readonly head_rev: number;
}

/** See the head of this file; each method is told where its statement stands. */
export interface DocumentStore {
  readHead(doc_id: string): Promise<Head | null>;
  claimHead(doc_id: string, seen_epoch: number, node: NodeIdentity, claim_id: string): Promise<HeadPosition | null>;
  releaseHead(doc_id: string, claim_id: string): Promise<void>;
  heldDocuments(claims: readonly ClaimedDocument[]): Promise<Set<string>>;
  readSnapshot(doc_id: string): Promise<Snapshot | null>;
  readTail(doc_id: string, after_rev: number, to_rev: number): Promise<JournalRow[]>;
  readDeltas(
    doc_id: string,
    after_rev: number,
    to_rev: number,
    bytes_max: number,
  ): Promise<Omit<JournalRow, 'update'>[]>;
  readMissed(doc_id: string, after_rev: number, to_rev: number, bytes_max: number): Promise<JournalRow[]>;
  epochOfRev(doc_id: string, rev: number): Promise<number | null>;
  lastSeq(doc_id: string, user_id: string, client_id: string): Promise<number>;
  findBySeq(doc_id: string, user_id: string, client_id: string, seq: number): Promise<JournalRow | null>;
}

/** See the head of this file. */
export interface JournalStore {
  appendUpdates(batch: readonly Append[]): Promise<Set<string>>;
  reclaimHeads(claims: readonly ClaimedDocument[]): Promise<Map<string, HeadPosition>>;
  /** Storage no longer answers on the connections there are: makes new ones; statements under way fail. */
  renew(): void;
}

/** The {@link DocumentStore} in PostgreSQL. */
export function sqlDocumentStore(sql: Sql): DocumentStore {
  return {
    readHead: (doc_id) => readHead(sql, doc_id),
    claimHead: (doc_id, seen_epoch, node, claim_id) => claimHead(sql, doc_id, seen_epoch, node, claim_id),
    releaseHead: (doc_id, claim_id) => releaseHead(sql, doc_id, claim_id),
    heldDocuments: (claims) => heldDocuments(sql, claims),
    readSnapshot: (doc_id) => readSnapshot(sql, doc_id),
    readTail: (doc_id, after_rev, to_rev) => readTail(sql, doc_id, after_rev, to_rev),
    readDeltas: (doc_id, after_rev, to_rev, bytes_max) => readDeltas(sql, doc_id, after_rev, to_rev, bytes_max),
    readMissed: (doc_id, after_rev, to_rev, bytes_max) => readMissed(sql, doc_id, after_rev, to_rev, bytes_max),
    epochOfRev: (doc_id, rev) => epochOfRev(sql, doc_id, rev),
    lastSeq: (doc_id, user_id, client_id) => lastSeq(sql, doc_id, user_id, client_id),
    findBySeq: (doc_id, user_id, client_id, seq) => findBySeq(sql, doc_id, user_id, client_id, seq),
  };
}

/** The {@link JournalStore} in PostgreSQL: a pool of its own, since a flush must not queue behind readers. */
export function sqlJournalStore(pool: { current(): Sql; renew(): void }): JournalStore {
  return {
    appendUpdates: (batch) => appendUpdates(pool.current(), batch),
    reclaimHeads: (claims) => reclaimHeads(pool.current(), claims),
    renew: () => pool.renew(),
  };
}
