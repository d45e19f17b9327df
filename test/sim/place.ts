/**
 * Where those who edit stand, and what they have in common: they reconnect to any node, send again what was not acked, and
 * hold the server to what it acked: an ack is held against the journal in the very moment in which it arrives.
 */
import type Delta from 'quill-delta';
import type { Op } from 'quill-delta';
import { type Dice, deletedBy } from '../fuzz/edits.ts';
import { type End, Line } from './line.ts';
import type { SimNode } from './node.ts';
import type { Hello } from './session.ts';
import type { StoredDocument } from './storage.ts';
import type { Host, Time } from './time.ts';
import type { Trace } from './trace.ts';

/** What was typed, and what somebody may have deleted. */
export class Typed {
  /** Characters of which each was typed once, by one edit, and by whom. */
  readonly markers = new Map<string, string>();
  readonly deleted = new Set<string>();
  #next = 0xe000;

  /** A character that nobody else types. */
  marker(who: string): string {
    const marker = String.fromCharCode(this.#next++);
    this.markers.set(marker, who);
    return marker;
  }

  /** An edit was made to a document with this flat text. */
  edited(edit: Delta, text: string): void {
    for (const unit of deletedBy(edit, text)) this.deleted.add(unit);
  }
}

/** Where a client stands. */
export interface Place {
  readonly name: string;
  readonly doc_id: string;
  readonly user_id: string;
  readonly client_id: string;
  readonly time: Time;
  readonly trace: Trace;
  readonly dice: Dice;
  readonly typed: Typed;
  readonly stored: StoredDocument;
  /** A node to connect to. */
  route(): SimNode;
  fault(what: string): void;
}

/** What every client can do. */
export interface Client {
  readonly place: Place;
  edit(): void;
  /** Cuts its line, blocks it for a while, or leaves and comes back. */
  disturb(how: 'cut' | 'block' | 'away'): void;
  /** Stays from now on. */
  calm(): void;
  /** Why it is not at rest with everything confirmed; null when it is. */
  unrest(): string | null;
  /** Its text. */
  content(): readonly Op[];
}

/** How long a line may be blocked, and a client away. */
export const BLOCK_MS_MAX = 6_000;
export const AWAY_MS_MAX = 8_000;

/** Connects to a node that the balancer names. */
export function connect(place: Place, host: Host, wire: Hello['wire'], point: Hello['point'], end: End): Line {
  const { doc_id, user_id, client_id } = place;
  const node = place.route();
  const line = new Line(host, node.host, end, place.dice, place.time);
  place.trace.note(place.name, `connects to ${node.name}`);
  node.accept(line, { wire, doc_id, user_id, client_id, point });
  return line;
}
