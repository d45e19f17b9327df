/**
 * A document's channel as a gateway reads it: one stream of revisions for all its sockets, without gaps and repeats
 * although the channel may lose, repeat and delay. The owner's head comes with every message, so a loss shows at the next
 * one, at the latest at the next beacon; then the owner is asked for what is missing, and what comes meanwhile waits.
 *
 * The last moments of the stream are kept, so that a member who joined at some revision gets what everybody else got since.
 */
import { LIMITS, TIMES } from '../../protocol/limits.ts';

/** A message of `collab:<doc_id>`. */
export interface ChannelMessage {
  /** The claim that its sender holds the document by. */
  readonly from: string;
  readonly epoch: number;
  /** The head when it was sent. */
  readonly rev: number;
  readonly events: readonly ChannelEvent[];
  /** An awareness frame, in base64. */
  readonly awareness?: string | undefined;
  /** Up to where everything is on disk; in beacons. */
  readonly durable?: number | undefined;
}

/** An event in it: an edit, or something else that JSON members read. */
export interface ChannelEvent {
  readonly type: string;
  readonly changes?: { readonly rev: number };
  readonly update?: string;
  readonly [field: string]: unknown;
}

/** What the stream brings, ready for the sockets. */
export interface Piece {
  /** The revision of an edit; of anything else the head that it was said at. */
  readonly rev: number;
  readonly edit: boolean;
  /** For JSON members; null when there is nothing for them. */
  readonly event: string | null;
  /** What the event is, beside an edit: the value that was read. */
  readonly value: ChannelEvent | null;
  /** For Yjs members: an edit's update. */
  readonly update: Uint8Array | null;
  /** For Yjs members: an awareness frame. */
  readonly awareness: Uint8Array | null;
}

interface Kept {
  readonly piece: Piece;
  readonly at: number;
  readonly bytes: number;
}

/** Who listens to the stream. */
export interface StreamListener {
  /** The next pieces, in order. */
  deliver(pieces: readonly Piece[]): void;
  /** Something is missing behind `after`. */
  missing(after: number): void;
}

/** See the head of this file. */
export class EventStream {
  /** Up to where everything was delivered; null until somebody joined. */
  rev: number | null = null;
  readonly #listener: StreamListener;
  /** Behind a gap, or before the beginning. */
  #waiting: ChannelMessage[] = [];
  #waiting_bytes = 0;
  #repairing = false;
  #kept: Kept[] = [];
  #kept_bytes = 0;
  /** What was kept begins after this revision. */
  #kept_from = 0;

  constructor(listener: StreamListener) {
    this.#listener = listener;
  }

  /** Whether something is missing just now. */
  get repairing(): boolean {
    return this.#repairing;
  }

  /**
   * The stream begins at a revision under a claim: what came before counts as delivered, and what was said under another
   * claim as never said.
   */
  begin(rev: number, claim_id: string, now: number): void {
    const waiting = this.#waiting.filter((message) => message.from === claim_id);
    this.restart();
    this.rev = rev;
    this.#kept_from = rev;
    this.#waiting = waiting;
    this.#drain(now);
  }

  /** Forgets all that was said. It begins again with the next who joins. */
  restart(): void {
    this.rev = null;
    this.#kept = [];
    this.#kept_bytes = 0;
    this.#repairing = false;
    this.#waiting = [];
    this.#waiting_bytes = 0;
  }

  /** Takes a message of the channel. `now` is monotonic. */
  take(message: ChannelMessage, now: number): void {
    if (this.rev === null || this.#repairing) {
      // More than this cannot be repaired in time anyhow; the gap that dropping leaves is found.
      if (this.#waiting.length >= LIMITS.stream_kept_messages_max) return;
      if (this.#waiting_bytes >= LIMITS.stream_kept_bytes_max) return;
      this.#waiting.push(message);
      this.#waiting_bytes += JSON.stringify(message).length;
      return;
    }
    this.#accept(message, now);
  }

  /** What the owner says was missing, up to `rev`. */
  repaired(edits: readonly ChannelEvent[], now: number): void {
    if (this.rev === null) return;
    this.#repairing = false;
    for (const edit of edits) {
      if ((edit.changes?.rev ?? 0) <= this.rev) continue;
      if (edit.changes?.rev !== this.rev + 1) break;
      this.rev += 1;
      this.#deliver([editPiece(edit)], now);
    }
    this.#drain(now);
  }

  /** Asks for whatever may be missing. */
  doubt(): void {
    if (this.rev === null || this.#repairing) return;
    this.#repairing = true;
    this.#listener.missing(this.rev);
  }

  /** What came after `rev` until now, or null when that is not kept any more. Other events may be older than `rev`. */
  since(rev: number): readonly Piece[] | null {
    if (rev < this.#kept_from) return null;
    return this.#kept
      .filter(({ piece }) => (piece.edit ? piece.rev > rev : piece.rev >= rev))
      .map(({ piece }) => piece);
  }

  /** Forgets what nobody who joins can need. */
  prune(now: number): void {
    let n = 0;
    for (const { piece, at, bytes } of this.#kept) {
      const old = now - at > TIMES.stream_kept_ms;
      const much =
        this.#kept.length - n > LIMITS.stream_kept_messages_max || this.#kept_bytes > LIMITS.stream_kept_bytes_max;
      if (!old && !much) break;
      this.#kept_bytes -= bytes;
      if (piece.edit) this.#kept_from = piece.rev;
      n += 1;
    }
    if (n > 0) this.#kept.splice(0, n);
  }

  #drain(now: number): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waiting_bytes = 0;
    for (const message of waiting) this.take(message, now);
  }

  #accept(message: ChannelMessage, now: number): void {
    const pieces: Piece[] = [];
    let rev = this.rev ?? 0;
    for (const event of message.events) {
      if (event.type !== 'edit' || event.changes === undefined) {
        pieces.push({ rev, edit: false, event: JSON.stringify(event), value: event, update: null, awareness: null });
        continue;
      }
      if (event.changes.rev <= rev) continue;
      if (event.changes.rev > rev + 1) return this.#gap(message, pieces, rev, now);
      rev += 1;
      pieces.push(editPiece(event));
    }
    if (message.rev > rev) return this.#gap(message, pieces, rev, now);
    if (message.awareness !== undefined) {
      const awareness = Buffer.from(message.awareness, 'base64');
      pieces.push({ rev, edit: false, event: null, value: null, update: null, awareness });
    }
    this.rev = rev;
    this.#deliver(pieces, now);
  }

  #gap(message: ChannelMessage, pieces: readonly Piece[], rev: number, now: number): void {
    // What led up to the gap is whole; the message itself comes again once it is filled.
    const edits = pieces.filter((piece) => piece.edit);
    this.rev = rev;
    this.#deliver(edits, now);
    this.#waiting.push(message);
    this.doubt();
  }

  #deliver(pieces: readonly Piece[], now: number): void {
    if (pieces.length === 0) return;
    for (const piece of pieces) {
      const bytes = (piece.event?.length ?? 0) + (piece.update?.length ?? 0) + (piece.awareness?.length ?? 0);
      this.#kept.push({ piece, at: now, bytes });
      this.#kept_bytes += bytes;
    }
    this.#listener.deliver(pieces);
  }
}

function editPiece(event: ChannelEvent): Piece {
  const { update, ...told } = event;
  const bytes = Buffer.from(update ?? '', 'base64');
  const text = JSON.stringify(told);
  return { rev: event.changes?.rev ?? 0, edit: true, event: text, value: null, update: bytes, awareness: null };
}
