/** What operators may know of the actors of a node. */
import type { OpenDocument } from './document.ts';

/** One actor, as `GET /v1/admin/actors` shows it. */
export interface ActorFacts {
  readonly doc_id: string;
  readonly node_id: string;
  /** 0 while it is being claimed. */
  readonly epoch: number;
  readonly rev: number;
  readonly durable_rev: number;
  /** Members, wherever their sockets are. */
  readonly connections: number;
  /** Revisions that are not on disk. */
  readonly backlog: number;
  /** Where its statechart is: `claiming`, `owned active clean held`. */
  readonly state: string;
}

/** The actors of a node behind `after` by doc_id, `count` at most. */
export function actorFacts(
  node_id: string,
  documents: Iterable<OpenDocument>,
  after: string,
  count: number,
): ActorFacts[] {
  return [...documents]
    .filter(({ doc_id }) => doc_id > after)
    .sort((one, other) => (one.doc_id < other.doc_id ? -1 : 1))
    .slice(0, count)
    .map((document) => {
      const { doc_id, runtime, state } = document;
      const { epoch = 0, durable_rev = 0, backlog_revs = 0 } = runtime?.ledger ?? {};
      const rev = runtime?.log.head ?? 0;
      const connections = runtime?.members.size ?? 0;
      return { doc_id, node_id, epoch, rev, durable_rev, connections, backlog: backlog_revs, state };
    });
}
