/**
 * The owner's side of a link: it seats the members whose sockets are on the gateway, works off what they send, and answers
 * what the gateway's REST routes ask. A member from elsewhere is a member like any other to its document; only what is
 * meant for it alone travels over the link, all else it gets from the document's channel.
 */
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import { CLOSE, type CloseCode } from '../../protocol/close.ts';
import { ConcordError, type ErrorCode } from '../../protocol/errors.ts';
import type { Role } from '../../protocol/messages.ts';
import type { ToGateway, ToOwner, WireError } from '../../protocol/node-wire.ts';
import type { DocumentStore } from '../../store/document-store.ts';
import type { OpenDocument } from '../document.ts';
import { notServed } from '../elsewhere.ts';
import type { Entry } from '../entries.ts';
import { type JsonMember, type Member, nextMemberId, type YjsMember } from '../member.ts';
import type { Registry } from '../registry.ts';
import { replayAfter } from '../replay.ts';
import type { DocumentRuntime } from '../runtime.ts';

/** What a desk is made of. */
export interface DeskParts {
  readonly clock: Clock;
  readonly registry: Registry;
  readonly store: DocumentStore;
  readonly log: Log;
  /** Answers a call by its name. Rejects with what to tell the caller. */
  call(name: string, args: readonly unknown[]): Promise<unknown>;
  /** Counts what came, by kind. */
  commanded(kind: ToOwner['t']): void;
}

type Join = Extract<ToOwner, { readonly t: 'join' }>;
type OfMember = Exclude<ToOwner, { readonly t: 'join' | 'leave' | 'role' | 'replay' | 'call' }>;

/** A member and the document that it is on, once it is. */
interface Seat {
  readonly join: Join;
  /** As the last news of it say. */
  role: Role | null;
  member: Member | null;
  document: OpenDocument | null;
}

/** Why somebody cannot join, as the socket is told. */
const CODES: { readonly [code in ErrorCode]?: CloseCode } = { NOT_FOUND: CLOSE.NOT_FOUND, FORBIDDEN: CLOSE.FORBIDDEN };

/** See the head of this file. */
export class Desk {
  readonly #parts: DeskParts;
  readonly #post: (item: ToGateway) => void;
  /** By the gateway's number. */
  readonly #seats = new Map<number, Seat>();

  constructor(parts: DeskParts, post: (item: ToGateway) => void) {
    this.#parts = parts;
    this.#post = post;
  }

  /** How many members are seated. */
  get size(): number {
    return this.#seats.size;
  }

  /** Takes an item of the link. Never throws. */
  receive(item: ToOwner): void {
    this.#parts.commanded(item.t);
    switch (item.t) {
      case 'join':
        this.#join(item).catch((error: unknown) => this.#turnAway(item, error));
        return;
      case 'replay':
        this.#replay(item.doc, item.after).catch((error: unknown) => {
          this.#parts.log.debug(
            { error, doc_id: item.doc },
            'what a gateway missed cannot be told; its sockets reconnect',
          );
          this.#post({ t: 'moved', doc: item.doc });
        });
        return;
      case 'call':
        this.#parts.call(item.name, item.args).then(
          (value) => this.#post({ t: 'answer', call: item.call, value }),
          (error: unknown) => this.#post({ t: 'refused', call: item.call, error: this.#told(error) }),
        );
        return;
      case 'leave':
        this.#leave(item.m);
        return;
      case 'role':
        for (const seat of this.#seats.values())
          if (seat.join.doc === item.doc && seat.join.user_id === item.user_id) seat.role = item.role;
        this.#parts.registry.peek(item.doc)?.push({ kind: 'role', user_id: item.user_id, role: item.role });
        return;
      default:
        this.#command(item);
    }
  }

  /** The gateway is gone, and all its sockets with it. */
  end(): void {
    for (const m of [...this.#seats.keys()]) this.#leave(m);
  }

  async #join(item: Join): Promise<void> {
    const seat: Seat = { join: item, role: item.role, member: null, document: null };
    this.#seats.set(item.m, seat);
    const { registry } = this.#parts;
    for (;;) {
      const { document, runtime } = await registry.open(item.doc);
      const member = this.#member(seat, document, runtime);
      const entry = await registry.prepareJoin(runtime, { member, named: item.named, point: item.point });
      // It may have left while all this was looked up, or be allowed something else.
      if (this.#seats.get(item.m) !== seat) return;
      if (seat.role === null) throw new ConcordError('FORBIDDEN');
      member.role = seat.role;
      seat.member = member;
      seat.document = document;
      if (document.push(entry)) return;
    }
  }

  #turnAway({ doc, m }: Join, error: unknown): void {
    if (!this.#seats.delete(m)) return;
    const told = this.#told(error);
    const code = CODES[told.code] ?? (told.retry_after_s === 1 ? CLOSE.RESTART : CLOSE.OVERLOADED);
    this.#post({ t: 'close', doc, m, code, reason: told.message });
  }

  #leave(m: number): void {
    const seat = this.#seats.get(m);
    this.#seats.delete(m);
    if (seat?.member) seat.document?.push({ kind: 'leave', member: seat.member });
  }

  #command(item: OfMember): void {
    const seat = this.#seats.get(item.m);
    if (!seat?.member || seat.document === null) {
      // It was closed while this was on its way; whoever waits is told.
      if (item.t === 'edit') this.#refused(item.call, notServed());
      return;
    }
    const entry = this.#entry(item, seat.member);
    if (entry !== null && !seat.document.push(entry)) {
      if (item.t === 'edit') this.#refused(item.call, notServed());
      seat.member.close(CLOSE.RESTART, 'the document moved; reconnect');
    }
  }

  #entry(item: OfMember, member: Member): Entry | null {
    switch (item.t) {
      case 'edit': {
        const { user_id, client_id } = member;
        const { call, seq, base_rev, delta } = item;
        return {
          kind: 'edit',
          author: member as JsonMember,
          edit: { user_id, client_id, seq, base_rev, delta, door: 'json' },
          outcome: {
            applied: (rev, event, duplicate) =>
              this.#post({ t: 'applied', call, rev, event: duplicate ? event : null }),
            refused: (error) => this.#refused(call, error),
          },
        };
      }
      case 'update':
        return { kind: 'update', member: member as YjsMember, update: item.update, whole: item.whole };
      case 'sync':
        return { kind: 'sync', member: member as YjsMember, state_vector: item.state_vector, ask: item.ask ?? false };
      case 'awareness':
        return { kind: 'awareness', member: member as YjsMember, entries: item.entries };
      case 'query_awareness':
        return { kind: 'query_awareness', member: member as YjsMember };
      case 'presence':
        return { kind: 'presence', member: member as JsonMember, state: item.state };
    }
  }

  async #replay(doc: string, after: number): Promise<void> {
    const runtime = this.#parts.registry.peek(doc)?.runtime ?? null;
    const replay = runtime === null ? null : await replayAfter(this.#parts.store, runtime, after);
    this.#post(replay === null ? { t: 'moved', doc } : { t: 'replay', doc, ...replay });
  }

  #refused(call: number, error: ConcordError): void {
    this.#post({ t: 'refused', call, error: this.#told(error) });
  }

  #told(error: unknown): WireError {
    if (!(error instanceof ConcordError)) {
      this.#parts.log.error({ error }, 'a command from another node failed');
      return { code: 'INTERNAL', message: new ConcordError('INTERNAL').message };
    }
    const { code, message, details, retry_after_s } = error;
    return { code, message, details, retry_after_s };
  }

  #member(seat: Seat, document: OpenDocument, runtime: DocumentRuntime): Member {
    const { doc, m, door, acks, age_ms, ...who } = seat.join;
    const opened_at = this.#parts.clock.monotonic() - age_ms;
    const post = this.#post;
    const base = {
      member_id: nextMemberId(),
      place: 'elsewhere' as const,
      user_id: who.user_id,
      display_name: who.display_name,
      client_id: who.client_id,
      role: who.role,
      subscribe: () => {
        const { epoch, claim_id } = runtime.ledger;
        post({ t: 'joined', doc, m, at: runtime.log.head, epoch, claim_id });
      },
      send: (frame: string | Uint8Array) => post({ t: 'send', doc, m, at: runtime.log.head, frame }),
      close: (code: Parameters<Member['close']>[0], reason: string) => {
        if (this.#seats.get(m) === seat) this.#seats.delete(m);
        post({ t: 'close', doc, m, code, reason });
        // As a socket's close would: whoever closes it need not be its document.
        document.push({ kind: 'leave', member });
      },
    };
    const member: Member =
      door === 'json' ? { ...base, wire: 'json', opened_at } : { ...base, wire: 'yjs', door, acks };
    return member;
  }
}
