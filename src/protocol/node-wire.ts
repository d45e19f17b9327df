/**
 * What nodes say to each other about documents: packets on the nodes' own channels, and the items inside them.
 *
 * A gateway is a node that has a socket of a document, its owner the node that has its actor. Items that outgrow a packet
 * travel in pieces. Only nodes of one deployment speak this; nothing of it is promised to anybody else.
 */
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import type { CloseCode } from './close.ts';
import type { DeltaOps } from './content/delta.ts';
import type { ErrorCode } from './errors.ts';
import type { PresenceState, Role } from './messages.ts';
import type { AwarenessEntry } from './yjs-wire.ts';

/** A refusal, as it travels. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details?: unknown;
  readonly retry_after_s?: number | undefined;
}

/** Of a member: `doc` the document, `m` the gateway's number for it. */
interface OfMember {
  readonly doc: string;
  readonly m: number;
}

/** From a gateway to an owner. */
export type ToOwner =
  | (OfMember & {
      readonly t: 'join';
      readonly door: 'json' | 'yjs' | 'hocuspocus';
      readonly user_id: string;
      readonly display_name: string;
      readonly client_id: string;
      readonly role: Role;
      /** How long ago its client connected, in milliseconds; JSON members. */
      readonly age_ms: number;
      /** Yjs members: whether it asked for durable acks. */
      readonly acks: boolean;
      readonly named: boolean;
      readonly point: { readonly epoch: number; readonly rev: number } | null;
    })
  | (OfMember & { readonly t: 'leave' })
  | (OfMember & {
      readonly t: 'edit';
      readonly call: number;
      readonly seq: number | null;
      readonly base_rev: number | null;
      readonly delta: DeltaOps;
    })
  | (OfMember & { readonly t: 'update'; readonly update: Uint8Array; readonly whole: boolean })
  | (OfMember & { readonly t: 'sync'; readonly state_vector: Uint8Array; readonly ask?: boolean })
  | (OfMember & { readonly t: 'awareness'; readonly entries: readonly AwarenessEntry[] })
  | (OfMember & { readonly t: 'query_awareness' })
  | (OfMember & { readonly t: 'presence'; readonly state: PresenceState })
  /** Somebody's role changed; null: not allowed any more. Joins that are under way must hear of it. */
  | { readonly t: 'role'; readonly doc: string; readonly user_id: string; readonly role: Role | null }
  /** The channel lost something behind `after`. */
  | { readonly t: 'replay'; readonly doc: string; readonly after: number }
  | { readonly t: 'call'; readonly call: number; readonly name: string; readonly args: readonly unknown[] };

/** From an owner to a gateway. `at`: the head when it was said; it must not reach the member before what leads up to that. */
export type ToGateway =
  | (OfMember & { readonly t: 'send'; readonly at: number; readonly frame: string | Uint8Array })
  /** From here on the member gets what the channel brings after `at`. */
  | (OfMember & { readonly t: 'joined'; readonly at: number; readonly epoch: number; readonly claim_id: string })
  | (OfMember & { readonly t: 'close'; readonly code: CloseCode; readonly reason: string })
  | {
      readonly t: 'applied';
      readonly call: number;
      readonly rev: number;
      /** Its event, when it was a duplicate. */
      readonly event: string | null;
    }
  | { readonly t: 'answer'; readonly call: number; readonly value: unknown }
  | { readonly t: 'refused'; readonly call: number; readonly error: WireError }
  /** `edits`: JSON events as the channel carries them, those after the revision that was asked for. */
  | {
      readonly t: 'replay';
      readonly doc: string;
      readonly claim_id: string;
      readonly epoch: number;
      readonly rev: number;
      readonly edits: readonly string[];
      readonly status: string;
    }
  /** The document is not in service here (any more). */
  | { readonly t: 'moved'; readonly doc: string };

/** Anything that a link carries. */
export type Item = ToOwner | ToGateway;

/** Which end of a link speaks. */
export type LinkEnd = 'gateway' | 'owner';

/** A packet of a link; see actors/remote/link.ts. */
export interface Packet {
  /** Drawn by the gateway for each link that it opens. */
  readonly link: string;
  readonly from: { readonly node_id: string; readonly boot_id: string };
  readonly end: LinkEnd;
  /** Everything up to here has been received; null in a `reset`, which says that the link is unknown. */
  readonly ack: number | null;
  /** Null when there is nothing but the ack. */
  readonly data: {
    readonly seq: number;
    /** Whether the next packet goes on with the same items. */
    readonly more: boolean;
    readonly bytes: Uint8Array;
  } | null;
}

/** Encodes a packet. */
export function packetBytes({ link, from, end, ack, data }: Packet): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeUint8(
    encoder,
    (end === 'owner' ? 1 : 0) | (ack === null ? 2 : 0) | (data === null ? 0 : data.more ? 12 : 4),
  );
  encoding.writeVarString(encoder, link);
  encoding.writeVarString(encoder, from.node_id);
  encoding.writeVarString(encoder, from.boot_id);
  if (ack !== null) encoding.writeVarUint(encoder, ack);
  if (data !== null) {
    encoding.writeVarUint(encoder, data.seq);
    encoding.writeVarUint8Array(encoder, data.bytes);
  }
  return encoding.toUint8Array(encoder);
}

/** Decodes a packet. Throws when it is none. */
export function readPacket(bytes: Uint8Array): Packet {
  const decoder = decoding.createDecoder(bytes);
  const flags = decoding.readUint8(decoder);
  if (flags > 15) throw new Error('no packet');
  const link = decoding.readVarString(decoder);
  const from = { node_id: decoding.readVarString(decoder), boot_id: decoding.readVarString(decoder) };
  const ack = (flags & 2) === 0 ? decoding.readVarUint(decoder) : null;
  const data =
    (flags & 4) === 0
      ? null
      : {
          seq: decoding.readVarUint(decoder),
          bytes: decoding.readVarUint8Array(decoder),
          more: (flags & 8) !== 0,
        };
  return { link, from, end: (flags & 1) === 0 ? 'gateway' : 'owner', ack, data };
}

/** Encodes what leaves in one turn. */
export function itemsBytes(items: readonly Item[]): Uint8Array {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, items.length);
  for (const item of items) encoding.writeAny(encoder, item as never);
  return encoding.toUint8Array(encoder);
}

/** Decodes it. Throws when it is not that. */
export function readItems(bytes: Uint8Array): Item[] {
  const decoder = decoding.createDecoder(bytes);
  const items: Item[] = [];
  for (let left = decoding.readVarUint(decoder); left > 0; left--) items.push(decoding.readAny(decoder) as Item);
  return items;
}
