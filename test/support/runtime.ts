/** A document's runtime with its seams in the test's hand: the ledger commits, and time passes, when the test says so. */
import type { DeltaEdit, Entry } from '../../src/actors/entries.ts';
import { EMPTY_STATE, Replica } from '../../src/actors/replica.ts';
import { DocumentRuntime } from '../../src/actors/runtime.ts';
import type { FoundEdit } from '../../src/actors/runtime-parts.ts';
import { serverClientId } from '../../src/actors/server-ids.ts';
import { EditWindow } from '../../src/actors/window.ts';
import { ManualClock } from '../../src/base/clock.ts';
import { type Random, seededRandom } from '../../src/base/random.ts';
import type { DeltaOps } from '../../src/protocol/content/delta.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import type { Role } from '../../src/protocol/messages.ts';
import { HandLedger, Stage, TestJsonMember, TestYjsMember } from './core.ts';

/** How an edit ended, loosely typed for a test's eyes. */
export interface Ended {
  readonly rev?: number;
  readonly event?: string;
  readonly duplicate?: boolean;
  readonly code?: string;
  readonly message?: string;
}

/** See the head of this file. */
export class RuntimeRig {
  readonly clock = new ManualClock();
  readonly random: Random;
  readonly doc_id: string;
  readonly stage = new Stage();
  readonly ledger: HandLedger;
  readonly runtime: DocumentRuntime;
  readonly observed = { edits: [] as [string, number][], fanouts: 0 };
  /** What was told of the document's size. */
  readonly sized: string[] = [];
  readonly occupied: number[] = [];
  readonly saved: boolean[] = [];
  /** How often the node was asked to look whose the document is. */
  doubts = 0;
  node_full = false;
  /** What the journal answers about edits that memory no longer holds. */
  findEdit: () => Promise<FoundEdit | null> = () => Promise.resolve(null);

  constructor(seed: number, document_bytes_max: number = LIMITS.document_bytes_default) {
    this.random = seededRandom(seed);
    this.doc_id = this.random.id();
    this.ledger = new HandLedger(this.doc_id, () => this.clock.monotonic());
    const replica = new Replica(this.doc_id, serverClientId(this.doc_id, 1), EMPTY_STATE, []);
    this.runtime = new DocumentRuntime(this.doc_id, replica, this.ledger, new EditWindow(0), {
      clock: this.clock,
      random: this.random,
      fanout: this.stage,
      observer: {
        edits: (door, count) => void this.observed.edits.push([door, count]),
        fannedOut: () => {
          this.observed.fanouts += 1;
        },
        sized: (_doc_id, news) => void this.sized.push(news),
      },
      document_bytes_max,
      nodeIsFull: () => this.node_full,
      findEdit: () => this.findEdit(),
      occupied: (members) => void this.occupied.push(members),
      again: (question) => this.turn(question),
      saved: (all) => void this.saved.push(all),
      doubted: () => {
        this.doubts += 1;
      },
    });
  }

  /** One turn with these entries. */
  turn(...entries: Entry[]): void {
    this.runtime.turn(entries, this.clock.monotonic());
  }

  /** A JSON member who is about to join. */
  newJson(user_id = this.random.id(), client_id = this.random.id(), role: Role = 'editor'): TestJsonMember {
    const member = new TestJsonMember(this.stage, user_id, client_id);
    member.role = role;
    return member;
  }

  /** A JSON member who joined. */
  json(role: Role = 'editor', user_id = this.random.id()): TestJsonMember {
    const member = this.newJson(user_id, this.random.id(), role);
    this.turn({ kind: 'join_json', member, resume: null, last_seq: 0 });
    return member;
  }

  /** A Yjs member who joined. */
  yjs(role: Role = 'editor', acks = false, user_id = this.random.id()): TestYjsMember {
    const member = new TestYjsMember(this.stage, user_id, this.random.id());
    member.role = role;
    member.acks = acks;
    this.turn({ kind: 'join_yjs', member });
    return member;
  }

  /** The entry of an edit, and how it ended once that is known. */
  edit(
    delta: DeltaOps,
    author: TestJsonMember | null = null,
    more: Partial<DeltaEdit> = {},
  ): { entry: Entry; ended: Ended } {
    const ended: { -readonly [K in keyof Ended]: Ended[K] } = {};
    const who =
      author === null
        ? { user_id: this.random.id(), client_id: this.random.id() }
        : { user_id: author.user_id, client_id: author.client_id };
    const door = author === null ? 'rest' : 'json';
    const edit: DeltaEdit = { ...who, seq: null, base_rev: null, delta, door, ...more };
    const outcome = {
      applied: (rev: number, event: string, duplicate: boolean) => void Object.assign(ended, { rev, event, duplicate }),
      refused: ({ code, message }: { code: string; message: string }) => void Object.assign(ended, { code, message }),
    };
    return { entry: { kind: 'edit', author, edit, outcome }, ended };
  }

  /** One edit in a turn of its own. */
  write(delta: DeltaOps, author: TestJsonMember | null = null, more: Partial<DeltaEdit> = {}): Ended {
    const { entry, ended } = this.edit(delta, author, more);
    this.turn(entry);
    return ended;
  }

  /** Everything up to `rev` (all when absent) reaches the disk. */
  commit(rev?: number): void {
    this.runtime.committed(this.ledger.commit(rev), this.ledger.epoch);
  }
}
