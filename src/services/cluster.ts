/** What this node tells operators of itself and of the other nodes. */
import { type ActorFacts, actorFacts } from '../actors/actor-facts.ts';
import type { Registry } from '../actors/registry.ts';
import type { Switchboard } from '../actors/remote/switchboard.ts';
import type { Timer } from '../base/clock.ts';
import type { ClusterParts } from '../domain/cluster.ts';
import { TIMES } from '../protocol/limits.ts';
import { readFacts, tellFacts, withdrawFacts } from '../store/node-facts.ts';
import type { NodeParts } from './node.ts';

/** See the head of this file. */
export interface Cluster extends ClusterParts {
  /** Begins to tell. */
  start(): void;
  /** The actors of this node, as another asks for them. */
  own(after: string, count: number): ActorFacts[];
  /** Stops, and takes this node out. */
  stop(): Promise<void>;
}

/** How long another node may take to list its actors. */
const ACTORS_WITHIN_MS = 2_000;

/** Makes it; `sockets` counts those that are open here. */
export function createCluster(
  node: NodeParts,
  registry: Registry,
  switchboard: Switchboard,
  sockets: () => number,
): Cluster {
  const { clock, redis, identity, config } = node;
  const started_at = clock.now();
  let timer: Timer | null = null;
  const own = (after: string, count: number): ActorFacts[] =>
    actorFacts(identity.node_id, registry.documents(), after, count);
  const tell = (): void => {
    const services = [...config.services];
    const open = { actors: [...registry.documents()].length, sockets: sockets() };
    const facts = { ...identity, services, started_at, last_beat_at: clock.now(), ...open };
    // Who reads it sees by its age that a beat did not get through.
    tellFacts(redis.commands, facts).catch(() => {});
  };
  return {
    own,
    nodes: () => readFacts(redis.commands, clock.now()),
    async actors({ node_id, boot_id }, after, count) {
      if (boot_id === identity.boot_id) return own(after, count);
      const answer = await switchboard.call({ node_id, boot_id }, 'actors', [after, count], ACTORS_WITHIN_MS);
      return answer as ActorFacts[];
    },
    start() {
      tell();
      timer = clock.every(TIMES.node_beat_ms, tell);
    },
    async stop() {
      timer?.cancel();
      await withdrawFacts(redis.commands, identity.node_id).catch(() => {});
    },
  };
}
