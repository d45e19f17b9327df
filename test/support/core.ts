/**
 * The seams of the core, for its tests: members that remember what they were sent, a fan-out that delivers to them at
 * once, a ledger that commits when it is told to, and documents that exist. PostgreSQL and Redis are never played here.
 */
import type { Ledger } from '../../src/actors/ledger.ts';
import type { Fanout, JsonMember, Member, YjsMember } from '../../src/actors/member.ts';
import type { CursorTranslator } from '../../src/actors/shown.ts';
import type { EditWindow } from '../../src/actors/window.ts';
import { createLog, type Log } from '../../src/base/log.ts';
import type { CloseCode } from '../../src/protocol/close.ts';
import type { DeltaOps } from '../../src/protocol/content/delta.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import type { PresenceEntry, PresenceState, Role } from '../../src/protocol/messages.ts';
import { readYjsFrame, type YjsFrame } from '../../src/protocol/yjs-wire.ts';
import { connectDatabase, type Database } from '../../src/store/postgres.ts';
import type { NewUpdate } from '../../src/store/updates.ts';
import { until } from './until.ts';

/** A log that nobody reads. */
export const quietLog: Log = createLog({ level: 'silent', service: 'test', node_id: 'test' });

/** A log whose lines a test reads. */
export function readableLog(): { log: Log; lines(): Record<string, unknown>[] } {
  const written: string[] = [];
  const destination = { write: (line: string) => void written.push(line) };
  const log = createLog({ level: 'debug', service: 'test', node_id: 'test', destination });
  return { log, lines: () => written.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

// ── documents ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Makes `count` empty documents of one new user, at epoch 0 and revision 0. */
export async function seedDocuments(sql: Database, count: number): Promise<{ user_id: string; doc_ids: string[] }> {
  const [user] = await sql<{ id: string }[]>`
    INSERT INTO users (id, email, email_key, display_name, password_hash)
    SELECT id, id || '@example.org', id || '@example.org', 'Ada', 'x' FROM gen_random_uuid() AS id RETURNING id`;
  if (user === undefined) throw new Error('no user was made');
  const rows = await sql<{ id: string }[]>`
    WITH made AS (
      INSERT INTO documents (id, title, owner_id)
      SELECT gen_random_uuid(), 'Document ' || n, ${user.id} FROM generate_series(1, ${count}::int) AS n RETURNING id
    ), heads AS (INSERT INTO document_heads (doc_id) SELECT id FROM made),
    search AS (INSERT INTO document_search (document_id, title) SELECT id, ''::tsvector FROM made),
    permission AS (
      INSERT INTO document_permissions (document_id, user_id, role) SELECT id, ${user.id}, 'owner' FROM made
    )
    SELECT id FROM made`;
  return { user_id: user.id, doc_ids: rows.map((row) => row.id).toSorted() };
}

/** Makes one empty document. */
export async function seedDocument(sql: Database): Promise<{ user_id: string; doc_id: string }> {
  const { user_id, doc_ids } = await seedDocuments(sql, 1);
  return { user_id, doc_id: first(doc_ids) };
}

/** The revisions of a document in the journal, as `[rev, epoch]`. */
export async function journaledRevs(sql: Database, doc_id: string): Promise<[number, number][]> {
  const rows = await sql<{ rev: number; epoch: number }[]>`
    SELECT rev, epoch FROM document_updates WHERE doc_id = ${doc_id} ORDER BY rev`;
  return rows.map(({ rev, epoch }) => [rev, epoch]);
}

/** What is wrong with the journals of a database; empty when each one runs from what is compacted to its head without a gap. */
export async function journalFaults(sql: Database): Promise<unknown[]> {
  const rows = await sql`
    SELECT h.doc_id, h.head_rev, count(u.rev)::int AS rows, max(u.rev) AS last
    FROM document_heads h LEFT JOIN document_updates u USING (doc_id) LEFT JOIN document_history p USING (doc_id)
    GROUP BY h.doc_id, p.compacted_rev
    HAVING h.head_rev - coalesce(p.compacted_rev, 0) <> count(u.rev)
        OR h.head_rev <> coalesce(max(u.rev), p.compacted_rev, 0)`;
  return [...rows];
}

/** Locks the head rows of documents from a connection of its own, so that no append to them can commit until `release`. */
export async function lockHeads(url: string, doc_ids: readonly string[]): Promise<{ release(): Promise<void> }> {
  const sql = connectDatabase(url, { connections_max: 1, application_name: 'lock' });
  const [locked, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const done = sql.begin(async (step) => {
    await step`SELECT 1 FROM document_heads WHERE doc_id = ANY(${doc_ids as string[]}::uuid[]) FOR UPDATE`;
    locked.resolve();
    await released.promise;
  });
  await Promise.race([locked.promise, done]);
  return {
    async release() {
      released.resolve();
      await done;
      await sql.end({ timeout: 1 });
    },
  };
}

/** Waits until `count` backends of this application name wait for a lock; returns their process ids. */
export async function blockedBackends(sql: Database, application_name: string, count = 1): Promise<number[]> {
  return await until(`${count} statements of ${application_name} to wait for a lock`, async () => {
    const rows = await sql<{ pid: number }[]>`
      SELECT pid FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = ${application_name} AND wait_event_type = 'Lock'`;
    return rows.length >= count && rows.map((row) => row.pid);
  });
}

// ── the runtime's seams ──────────────────────────────────────────────────────────────────────────────────────────────

/** Has the window let go of all that it holds, as larger edits would. */
export function emptyWindow(window: EditWindow): void {
  const [rev, bytes] = [window.head, LIMITS.window_bytes_max + 1];
  window.append({ rev, bytes, epoch: 1, user_id: '', client_id: '', seq: null, at: 0, delta: [] });
}

/** A ledger that commits when the test says so. */
export class HandLedger implements Ledger {
  readonly claim_id = '00000000-0000-7000-8000-00000000c1a1';
  epoch = 1;
  durable_rev = 0;
  rows: { readonly row: NewUpdate; readonly since: number }[] = [];
  /** Every row that was ever handed over. */
  readonly all: NewUpdate[] = [];

  constructor(
    readonly doc_id: string,
    private readonly monotonic: () => number,
  ) {}

  get backlog_revs(): number {
    return this.rows.length;
  }

  get backlog_bytes(): number {
    return this.rows.reduce((sum, { row }) => sum + row.update.length + row.delta.length, 0);
  }

  get waiting_since(): number | null {
    return this.rows[0]?.since ?? null;
  }

  unwritten(after: number): NewUpdate[] {
    return this.rows.map(({ row }) => row).filter(({ rev }) => rev > after);
  }

  append(row: NewUpdate): void {
    this.all.push(row);
    this.rows.push({ row, since: this.monotonic() });
  }

  settled(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    this.rows = [];
  }

  /** Takes everything up to `rev` (all when absent) as committed; the caller tells the runtime. */
  commit(rev = this.rows.at(-1)?.row.rev ?? this.durable_rev): number {
    this.rows = this.rows.filter(({ row }) => row.rev > rev);
    this.durable_rev = Math.max(this.durable_rev, rev);
    return this.durable_rev;
  }
}

/** What a JSON member was told, loosely typed for a test's eyes. */
export interface SeenEvent {
  readonly type: string;
  readonly rev?: number;
  readonly epoch?: number;
  readonly user_id?: string;
  readonly client_id?: string;
  readonly seq?: number | null;
  readonly changes?: { readonly rev: number; readonly delta: DeltaOps };
  readonly content?: DeltaOps;
  readonly presence?: readonly PresenceEntry[];
  readonly last_seq?: number;
  readonly state?: unknown;
  readonly status?: string;
  readonly role?: string;
  readonly since?: string;
}

/** How a member's connection was ended. */
export interface Closed {
  readonly code: CloseCode;
  readonly reason: string;
}

let members = 0;

/** A JSON connection that remembers. */
export class TestJsonMember implements JsonMember {
  readonly wire = 'json';
  opened_at = 0;
  readonly place: 'here' | 'elsewhere' = 'here';
  readonly member_id = ++members;
  role: Role = 'editor';
  readonly display_name: string;
  readonly events: SeenEvent[] = [];
  closed: Closed | null = null;

  constructor(
    readonly stage: Stage,
    readonly user_id: string,
    readonly client_id: string,
    display_name = 'Ada',
  ) {
    this.display_name = display_name;
  }

  send(text: string): void {
    if (this.closed === null) this.events.push(JSON.parse(text) as SeenEvent);
  }

  subscribe(): void {
    this.stage.audience.add(this);
  }

  close(code: CloseCode, reason: string): void {
    this.stage.audience.delete(this);
    this.closed ??= { code, reason };
  }

  /** What it was told of this type. */
  of(type: string): SeenEvent[] {
    return this.events.filter((event) => event.type === type);
  }
}

/** A y-websocket connection that remembers. */
export class TestYjsMember implements YjsMember {
  readonly wire = 'yjs';
  readonly door: 'yjs' | 'hocuspocus' = 'yjs';
  readonly place: 'here' | 'elsewhere' = 'here';
  readonly member_id = ++members;
  role: Role = 'editor';
  acks = false;
  readonly display_name = 'Grace';
  readonly raw: Uint8Array[] = [];
  closed: Closed | null = null;

  constructor(
    readonly stage: Stage,
    readonly user_id: string,
    readonly client_id: string,
  ) {}

  send(frame: Uint8Array): void {
    if (this.closed === null) this.raw.push(frame);
  }

  subscribe(): void {
    this.stage.audience.add(this);
  }

  close(code: CloseCode, reason: string): void {
    this.stage.audience.delete(this);
    this.closed ??= { code, reason };
  }

  /** What it was sent, read. */
  frames(): YjsFrame[] {
    return this.raw.map((frame) => readYjsFrame(frame, 10_000));
  }

  /** The updates that it was sent, in order. */
  updates(): Uint8Array[] {
    return this.frames().flatMap((frame) => (frame.kind === 'update' ? [frame.update] : []));
  }
}

/** A fan-out that delivers to subscribed members at once, and keeps what left the node. */
export class Stage implements Fanout {
  readonly audience = new Set<Member>();
  readonly remotes: { v: number; epoch: number; rev: number; events: (SeenEvent & { update?: string })[] }[] = [];
  /** How many outside this node listen; a negative number means that Redis is away. */
  listeners = 0;

  yjs(_doc_id: string, frame: Uint8Array, except: YjsMember | null): void {
    for (const member of this.audience) if (member.wire === 'yjs' && member !== except) member.send(frame);
  }

  acks(_doc_id: string, frame: Uint8Array): void {
    for (const member of this.audience) if (member.wire === 'yjs' && member.acks) member.send(frame);
  }

  json(_doc_id: string, text: string): void {
    for (const member of this.audience) if (member.wire === 'json') member.send(text);
  }

  remote(_doc_id: string, text: string, _heard: boolean, done: (listeners: number) => void): void {
    this.remotes.push(JSON.parse(text) as Stage['remotes'][number]);
    if (this.listeners >= 0) done(this.listeners);
  }
}

/** A presence state with a cursor. */
export function cursorState(index: number, length = 0): PresenceState {
  return { cursor: { index, length } };
}

/** Cursors of a live text of ten units, whose relative positions say their index. */
export function digitCursors(): CursorTranslator {
  return {
    live: true,
    rev: 0,
    carry: (range) => range,
    toRelative: (ranges) =>
      ranges.map(({ index, length }) =>
        index + length > 10 ? null : { anchor: { at: index }, head: { at: index + length } },
      ),
    toAbsolute: (cursors) =>
      cursors.map(({ anchor, head }) => {
        const [from, to] = [(anchor as { at?: number }).at, (head as { at?: number }).at];
        return from === undefined || to === undefined
          ? null
          : { index: Math.min(from, to), length: Math.abs(to - from) };
      }),
  };
}

/** The first of what must not be empty. */
export function first<T>(list: readonly T[]): T {
  const [one] = list;
  if (one === undefined) throw new Error('expected at least one');
  return one;
}

/** What comes in parts, as text. */
export async function textOf(parts: AsyncIterable<Uint8Array>): Promise<string> {
  return Buffer.concat(await Array.fromAsync(parts)).toString();
}
