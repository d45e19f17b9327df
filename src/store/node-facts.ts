/**
 * What the nodes of a deployment say of themselves, for operators: one field each in one hash, written at every beat. It is
 * no sign of life, as `node:<node_id>` is (directory.ts); a node that stopped beating stays to be seen for a while.
 */
import type { RedisCommands } from './redis.ts';

/** What a node says. Times are epoch milliseconds. */
export interface NodeFacts {
  readonly node_id: string;
  readonly boot_id: string;
  readonly services: readonly string[];
  readonly started_at: number;
  readonly last_beat_at: number;
  /** Documents open there. */
  readonly actors: number;
  readonly sockets: number;
}

const KEY = 'concord:nodes';
/** A node that has been silent for this long is not shown any more. */
const SHOWN_MS = 60_000;

/** Writes what this node says. Rejects when Redis does not answer. */
export async function tellFacts(redis: RedisCommands, facts: NodeFacts): Promise<void> {
  await redis.hset(KEY, facts.node_id, JSON.stringify(facts));
}

/** Takes a node out that leaves in order. */
export async function withdrawFacts(redis: RedisCommands, node_id: string): Promise<void> {
  await redis.hdel(KEY, node_id);
}

/** What the nodes said lately, by name; forgets those that have been silent for long. Rejects when Redis does not answer. */
export async function readFacts(redis: RedisCommands, now: number): Promise<NodeFacts[]> {
  const all = await redis.hgetall(KEY);
  const shown: NodeFacts[] = [];
  const old: string[] = [];
  for (const [node_id, text] of Object.entries(all)) {
    const facts = parse(text);
    if (facts !== null && now - facts.last_beat_at <= SHOWN_MS) shown.push(facts);
    else old.push(node_id);
  }
  if (old.length > 0) await redis.hdel(KEY, ...old);
  return shown.sort((one, other) => (one.node_id < other.node_id ? -1 : 1));
}

function parse(text: string): NodeFacts | null {
  try {
    return JSON.parse(text) as NodeFacts;
  } catch {
    return null; // not ours
  }
}
