/** The nodes of a deployment and the actors on them, for operators. */
import type { ActorFacts } from '../actors/actor-facts.ts';
import { isoTime } from '../base/clock.ts';
import { ConcordError, unavailable } from '../protocol/errors.ts';
import type { NodeFacts } from '../store/node-facts.ts';

/** What this needs. */
export interface ClusterParts {
  /** What the nodes said lately, by name. Rejects when Redis does not answer. */
  nodes(): Promise<readonly NodeFacts[]>;
  /** The actors of a node behind `after` by doc_id, `count` at most. Rejects with UNAVAILABLE when it does not answer. */
  actors(node: NodeFacts, after: string, count: number): Promise<readonly ActorFacts[]>;
}

/** A node, as it is shown. */
export interface NodeItem extends Omit<NodeFacts, 'started_at' | 'last_beat_at'> {
  readonly started_at: string;
  readonly last_beat_at: string;
}

/** The nodes behind `after` by name, `count` at most. Errors: UNAVAILABLE while Redis is away. */
export async function listNodes(parts: ClusterParts, after: string, count: number): Promise<NodeItem[]> {
  const nodes = (await known(parts)).filter(({ node_id }) => node_id > after).slice(0, count);
  return nodes.map(({ node_id, boot_id, services, started_at, last_beat_at, actors, sockets }) => ({
    node_id,
    boot_id,
    services,
    started_at: isoTime(started_at),
    last_beat_at: isoTime(last_beat_at),
    actors,
    sockets,
  }));
}

/**
 * The actors of all nodes behind `after` by doc_id, `count` at most. Every node is asked; one that does not answer is left
 * out, its beat in the list of nodes tells why. Errors: UNAVAILABLE while Redis is away.
 */
export async function listActors(parts: ClusterParts, after: string, count: number): Promise<ActorFacts[]> {
  const nodes = (await known(parts)).filter(({ services }) => services.includes('collaboration'));
  const lists = await Promise.all(
    nodes.map((node) =>
      parts.actors(node, after, count).catch((error: unknown) => {
        if (error instanceof ConcordError && error.code === 'UNAVAILABLE') return [];
        throw error;
      }),
    ),
  );
  // While a document changes hands two nodes may have an actor of it for a moment.
  return lists
    .flat()
    .sort((one, other) => (one.doc_id + one.node_id < other.doc_id + other.node_id ? -1 : 1))
    .slice(0, count);
}

async function known(parts: ClusterParts): Promise<readonly NodeFacts[]> {
  try {
    return await parts.nodes();
  } catch {
    throw unavailable('Redis does not answer, and only it knows the nodes; try again.');
  }
}
