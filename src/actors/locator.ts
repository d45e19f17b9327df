/**
 * Finds a document's owner, or becomes it. Redis answers first and may be wrong or empty; PostgreSQL decides.
 *
 *   1. `actor:<doc_id>` names an owner that lives: the document is there.
 *   2. Otherwise `document_heads` is asked, so that a flushed Redis moves no document.
 *   3. Otherwise claim: mark the entry as claiming (so that two nodes seldom race), take the next epoch in PostgreSQL
 *      provided that it still is the one that was seen (so that a race has one winner), and write the entry.
 *
 * Whether an owner lives: its node's key holds its boot. A key that is missing may have been flushed, and whoever beats
 * first again must not take that for the end of all others: everybody gets the time to beat again. A key that is there
 * proves little for a process that was killed a moment ago: nobody listens on its channel any more, and after some more looks
 * that is taken as its end. They take the time in which connections return to a Redis that was restarted.
 * If all this is wrong and the owner lives after all, the epoch refuses its next append: nothing forks.
 * Without Redis a document that PostgreSQL says is another's cannot be taken, because nobody can say whether that other
 * lives; everything else goes on.
 */
import type { Clock } from '../base/clock.ts';
import { pause, TIMED_OUT, within } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { ConcordError, unavailable } from '../protocol/errors.ts';
import { TIMES } from '../protocol/limits.ts';
import type { ActorEntry, Directory, SeenEntry } from '../store/directory.ts';
import type { DocumentStore } from '../store/document-store.ts';
import type { NodeIdentity } from '../store/heads.ts';
import { isStorageAway } from '../store/postgres.ts';

/** A document that is ours. */
export interface Claim {
  readonly claim_id: string;
  readonly epoch: number;
  readonly head_rev: number;
}

/** How looking for a document ends. */
export type Located =
  | { readonly kind: 'claimed'; readonly claim: Claim }
  | { readonly kind: 'elsewhere'; readonly owner: NodeIdentity }
  /** No such document, or deleted. */
  | { readonly kind: 'absent' };

/** What a {@link Locator} is made of. */
export interface LocatorParts {
  readonly node: NodeIdentity;
  readonly store: DocumentStore;
  readonly directory: Directory;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Counts how claims end. */
  claimed(outcome: 'claimed' | 'taken_over' | 'lost_race' | 'elsewhere'): void;
}

/** Looks again this often before giving up with UNAVAILABLE. */
const ATTEMPTS_MAX = 40;
const BETWEEN_ATTEMPTS_MS = 50;
/** Between the first and the last look at whether anybody listens for an owner. */
const MORE_LOOKS_MS = 1_500;
/** So many more, each of which may show that it lives. */
const MORE_LOOKS = 5;
/** For how long a node that was found gone counts as that without another look. */
const GONE_FOR_MS = 10_000;

/** A reader does not wait longer than this for who may know more than storage. */
const OWNER_WITHIN_MS = 500;

/** How often a directory may forget everything while somebody looks for a beat. */
const FORGETTING_LOOKS_MAX = 5;
const MARK_LIFE_MS = 60_000;

const NOTHING_SEEN: SeenEntry = { entry: null, text: '' };

/** See the head of this file. */
export class Locator {
  readonly #parts: LocatorParts;
  /** Starts of nodes that were found gone, until when. */
  readonly #gone = new Map<string, number>();

  constructor(parts: LocatorParts) {
    this.#parts = parts;
  }

  /** Claims the document unless a living owner has it. Throws UNAVAILABLE while that cannot be told. */
  async claim(doc_id: string): Promise<Located> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const located = await this.#attempt(doc_id);
      if (located !== 'again') return located;
      await pause(this.#parts.clock, BETWEEN_ATTEMPTS_MS);
    }
    throw unavailable('The document is changing hands; try again.', 1);
  }

  /** Gives a document up, in PostgreSQL and then in the directory. */
  async release(doc_id: string, claim: Claim): Promise<void> {
    await this.#storage(this.#parts.store.releaseHead(doc_id, claim.claim_id));
    await this.#hint(async () => {
      const seen = await this.#parts.directory.read(doc_id);
      if (seen.entry !== null && this.#isMine(seen.entry)) await this.#parts.directory.replace(doc_id, seen.text, null);
      return null;
    });
  }

  /**
   * The other node that a reader should ask about the document: its owner, if that listens. Null otherwise, and while nobody
   * can say; a reader then does with what is on disk, so a quick look is enough here.
   */
  async owner(doc_id: string): Promise<NodeIdentity | null> {
    const found = await within(this.#parts.clock, OWNER_WITHIN_MS, this.#owner(doc_id));
    return found === TIMED_OUT ? null : found;
  }

  async #owner(doc_id: string): Promise<NodeIdentity | null> {
    const { store, directory, node } = this.#parts;
    try {
      const { entry } = await directory.read(doc_id);
      const owner = entry?.state === 'owned' ? entry : ((await this.#storage(store.readHead(doc_id)))?.owner ?? null);
      if (owner === null || owner.boot_id === node.boot_id) return null;
      return (await directory.listening(owner)) > 0 ? { node_id: owner.node_id, boot_id: owner.boot_id } : null;
    } catch {
      return null;
    }
  }

  async #attempt(doc_id: string): Promise<Located | 'again'> {
    const { store, directory, random, node } = this.#parts;
    const seen = (await this.#hint(() => directory.read(doc_id))) ?? NOTHING_SEEN;
    if (seen.entry !== null && !this.#isMine(seen.entry)) {
      const alive = await this.lives(seen.entry);
      if (alive && seen.entry.state === 'owned') return this.#elsewhere(seen.entry);
      if (alive) return 'again';
    }
    const head = await this.#storage(store.readHead(doc_id));
    if (head === null) return { kind: 'absent' };
    const { owner } = head;
    const rival = owner !== null && owner.boot_id !== node.boot_id ? owner : null;
    if (rival !== null && (await this.lives(rival))) return this.#elsewhere(rival);
    const marked = await this.#mark(doc_id, seen);
    if (marked === 'lost') return 'again';
    const claim_id = random.id();
    let won: { epoch: number; head_rev: number } | null = null;
    try {
      // An unknown outcome is harmless: if it was won after all, the next attempt sees our own boot and claims again.
      won = await this.#storage(store.claimHead(doc_id, head.epoch, node, claim_id));
    } finally {
      if (won === null) await this.#hint(() => directory.replace(doc_id, marked, null));
    }
    if (won === null) {
      this.#parts.claimed('lost_race');
      return 'again';
    }
    this.#parts.claimed(rival === null ? 'claimed' : 'taken_over');
    if (rival !== null) {
      const facts = { doc_id, epoch: won.epoch, from_node: rival.node_id };
      this.#parts.log.warn(facts, 'took over a document whose owner is gone');
    }
    await this.#hint(() => directory.replace(doc_id, marked, this.#entry('owned', won.epoch)));
    return { kind: 'claimed', claim: { claim_id, epoch: won.epoch, head_rev: won.head_rev } };
  }

  /** Storage's answer; UNAVAILABLE when there is none in time, or it is away. */
  async #storage<T>(answer: Promise<T>): Promise<T> {
    const value = await within(this.#parts.clock, TIMES.claim_timeout_ms, answer).catch((error: unknown) => {
      throw isStorageAway(error) ? unavailable() : error;
    });
    if (value === TIMED_OUT) throw unavailable();
    return value;
  }

  /** Marks the entry as being claimed by us; returns its text, or `lost` when somebody else was faster. */
  async #mark(doc_id: string, seen: SeenEntry): Promise<string | 'lost'> {
    const marked = await this.#hint(() => this.#parts.directory.replace(doc_id, seen.text, this.#entry('claiming', 0)));
    if (marked === null) return '';
    return marked.won ? marked.text : 'lost';
  }

  #elsewhere(owner: NodeIdentity): Located {
    this.#parts.claimed('elsewhere');
    return { kind: 'elsewhere', owner: { node_id: owner.node_id, boot_id: owner.boot_id } };
  }

  /**
   * Whether this start of a node lives. Throws UNAVAILABLE while the directory does not answer. One that was found gone is
   * that for a while: each of its documents would otherwise wait for it anew.
   */
  async lives(owner: NodeIdentity): Promise<boolean> {
    const now = this.#parts.clock.monotonic();
    for (const [boot_id, until] of this.#gone) if (until <= now) this.#gone.delete(boot_id);
    if (this.#gone.has(owner.boot_id)) return false;
    const lives = await this.#looksAlive(owner);
    if (!lives) this.#gone.set(owner.boot_id, this.#parts.clock.monotonic() + GONE_FOR_MS);
    return lives;
  }

  async #looksAlive(owner: NodeIdentity): Promise<boolean> {
    const { directory, clock } = this.#parts;
    try {
      const [theirs] = await directory.boots(owner.node_id);
      if (theirs === owner.boot_id) {
        for (let look = 0; look <= MORE_LOOKS; look++) {
          if ((await directory.listening(owner)) > 0) return true;
          if (look < MORE_LOOKS) await pause(clock, MORE_LOOKS_MS / MORE_LOOKS);
        }
        return false;
      }
      if (typeof theirs === 'string') return false; // the node runs, but it is another start of it
      return await this.#beatsAgain(owner);
    } catch {
      throw unavailable('The directory of documents does not answer; try again.');
    }
  }

  /**
   * Whether a node whose key is missing beats again in the time in which everybody does. That time counts only if the
   * directory forgot nothing in it, which a mark shows. Throws when it never stops forgetting.
   */
  async #beatsAgain(owner: NodeIdentity): Promise<boolean> {
    const { directory, clock, random } = this.#parts;
    for (let look = 0; look < FORGETTING_LOOKS_MAX; look++) {
      const mark = random.id();
      await directory.mark(mark, MARK_LIFE_MS);
      await pause(clock, TIMES.node_beat_ms * 1.5);
      if ((await directory.boots(owner.node_id))[0] === owner.boot_id) return true;
      if (await directory.marked(mark)) return false;
    }
    throw unavailable();
  }

  /** Runs what only speeds things up; null when Redis does not answer. */
  async #hint<T>(ask: () => Promise<T>): Promise<T | null> {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof ConcordError) throw error;
      this.#parts.log.debug({ error }, 'the directory does not answer; PostgreSQL decides alone');
      return null;
    }
  }

  #isMine(entry: ActorEntry): boolean {
    return entry.boot_id === this.#parts.node.boot_id;
  }

  #entry(state: ActorEntry['state'], epoch: number): ActorEntry {
    return { state, epoch, ...this.#parts.node };
  }
}
