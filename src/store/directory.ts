/**
 * Where a document's actor is, as Redis remembers it: fast, disposable hints. Liveness is per node (`node:<node_id>`
 * holds the boot id while the node beats), so it costs one key per node however many documents are open, and an entry
 * counts only while its node's key holds the same boot. Every script touches one key, so a cluster can serve it.
 */
import type { Channels } from './channels.ts';
import type { NodeIdentity } from './heads.ts';
import type { RedisCommands } from './redis.ts';

/** An entry of `actor:<doc_id>`. */
export interface ActorEntry extends NodeIdentity {
  readonly state: 'claiming' | 'owned';
  /** 0 while claiming. */
  readonly epoch: number;
}

/** An entry and its exact text, which a compare-and-set needs. */
export interface SeenEntry {
  readonly entry: ActorEntry | null;
  readonly text: string;
}

/** Entries of documents that nobody gave up properly vanish after this. */
export const OWNED_LIFE_S = 86_400;
/** A claim takes milliseconds; a mark that nobody followed up must not keep others out. */
export const CLAIMING_LIFE_S = 5;

const COMPARE_AND_SET = `
local present = redis.call('GET', KEYS[1]) or ''
if present ~= ARGV[1] then return present end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end
return ARGV[2]`;

/** The directory, as its readers know it. Every method rejects when Redis does not answer. */
export interface Directory {
  /** Says that this node lives, for `life_ms` from now. */
  beat(node: NodeIdentity, life_ms: number): Promise<void>;
  /** Takes the node out, unless another process beats under its name by now. */
  leave(node: NodeIdentity): Promise<void>;
  /** The boots that beat under these names now; null for silence. */
  boots(...node_ids: string[]): Promise<(string | null)[]>;
  /** How many connections listen on a node's own channel. A process that was killed has none at once. */
  listening(node: NodeIdentity): Promise<number>;
  /** Whether there is any sign of this start of a node: it beats, or listens. */
  shows(node: NodeIdentity): Promise<boolean>;
  /** Leaves a mark, for `life_ms` from now. */
  mark(id: string, life_ms: number): Promise<void>;
  /** Whether a mark is still there: the directory forgot nothing since, and was not started anew. */
  marked(id: string): Promise<boolean>;
  /** What the directory says of a document. */
  read(doc_id: string): Promise<SeenEntry>;
  /** Replaces what was seen by `next` (null deletes). Returns what stands there now: `next`'s text when it won. */
  replace(doc_id: string, seen: string, next: ActorEntry | null): Promise<SeenEntry & { readonly won: boolean }>;
}

/** The {@link Directory} in Redis. */
export class RedisDirectory implements Directory {
  constructor(
    private readonly redis: RedisCommands,
    private readonly channels: Pick<Channels, 'listening'>,
  ) {}

  async beat(node: NodeIdentity, life_ms: number): Promise<void> {
    await this.redis.set(nodeKey(node.node_id), node.boot_id, 'PX', life_ms);
  }

  async leave(node: NodeIdentity): Promise<void> {
    await this.redis.eval(COMPARE_AND_SET, 1, nodeKey(node.node_id), node.boot_id, '', OWNED_LIFE_S);
  }

  async boots(...node_ids: string[]): Promise<(string | null)[]> {
    // One command each, which leave together: the keys of several nodes are in several slots.
    return await Promise.all(node_ids.map((node_id) => this.redis.get(nodeKey(node_id))));
  }

  async listening(node: NodeIdentity): Promise<number> {
    return await this.channels.listening(nodeChannel(node));
  }

  async shows(node: NodeIdentity): Promise<boolean> {
    const [boot] = await this.boots(node.node_id);
    return boot === node.boot_id || (await this.listening(node)) > 0;
  }

  async mark(id: string, life_ms: number): Promise<void> {
    await this.redis.set(markKey(id), '', 'PX', life_ms);
  }

  async marked(id: string): Promise<boolean> {
    return (await this.redis.exists(markKey(id))) === 1;
  }

  async read(doc_id: string): Promise<SeenEntry> {
    const text = (await this.redis.get(actorKey(doc_id))) ?? '';
    return { entry: parseEntry(text), text };
  }

  async replace(doc_id: string, seen: string, next: ActorEntry | null): Promise<SeenEntry & { readonly won: boolean }> {
    const wanted = next === null ? '' : entryText(next);
    const life_s = next?.state === 'claiming' ? CLAIMING_LIFE_S : OWNED_LIFE_S;
    const text = String(await this.redis.eval(COMPARE_AND_SET, 1, actorKey(doc_id), seen, wanted, life_s));
    return { entry: parseEntry(text), text, won: text === wanted };
  }
}

/** The channel that a node listens on for itself. */
export function nodeChannel(node: NodeIdentity): string {
  return `node:${node.node_id}:${node.boot_id}`;
}

/** The text that stands for an entry; comparing it is comparing the entry. */
export function entryText(entry: ActorEntry): string {
  return JSON.stringify([entry.state, entry.epoch, entry.node_id, entry.boot_id]);
}

function nodeKey(node_id: string): string {
  return `node:${node_id}`;
}

function markKey(id: string): string {
  return `mark:${id}`;
}

function actorKey(doc_id: string): string {
  return `actor:${doc_id}`;
}

/** The entry that a text stands for; null for none, and for what is not ours. */
export function parseEntry(text: string): ActorEntry | null {
  if (text === '') return null;
  try {
    const [state, epoch, node_id, boot_id] = JSON.parse(text) as [ActorEntry['state'], number, string, string];
    return { state, epoch, node_id, boot_id };
  } catch {
    return null; // not ours to understand: it counts as absent and is replaced by the next claim
  }
}
