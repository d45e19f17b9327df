/**
 * All links of a node: those that it opened as a gateway, one for each owner that its sockets need, and those that others
 * opened to it. It hands packets to their links, finds out which of the other processes are gone, and notices when its own
 * subscription has gone deaf.
 *
 * A link belongs to two starts of two nodes, and nobody resumes one: an end that knows nothing of a link answers its
 * packets with a reset, unless they begin it, and the other end breaks. So nobody takes what another process, or an earlier
 * life of this one, was told.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import { TIMED_OUT, within } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Random } from '../../base/random.ts';
import { unavailable } from '../../protocol/errors.ts';
import { LIMITS, TIMES } from '../../protocol/limits.ts';
import { type LinkEnd, type Packet, packetBytes, readPacket, type ToOwner } from '../../protocol/node-wire.ts';
import type { Bus } from '../../store/bus.ts';
import { nodeChannel } from '../../store/directory.ts';
import type { NodeIdentity } from '../../store/heads.ts';
import { Desk, type DeskParts } from './desk.ts';
import { GatewayLink } from './gateway-link.ts';
import { Link } from './link.ts';

/** What links count. */
export interface LinkObserver {
  links(end: LinkEnd, count: number): void;
  resent(packets: number): void;
  broken(): void;
  /** How long a message took to come back to its own sender, in milliseconds. */
  lag(duration_ms: number): void;
}

/** What a switchboard is made of. */
export interface SwitchboardParts {
  readonly node: NodeIdentity;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly desk: DeskParts;
  readonly observer: LinkObserver;
  /** Whether this start of a node lives. Rejects while that cannot be told. */
  lives(node: NodeIdentity): Promise<boolean>;
}

/** The owner's end of a link. */
interface ServedLink {
  readonly link: Link;
  readonly desk: Desk;
  readonly gateway: NodeIdentity;
}

/** The link of no link: a message to oneself. */
const PING = '';

/** See the head of this file. */
export class Switchboard {
  readonly #parts: SwitchboardParts;
  readonly #channel: string;
  /** By link. */
  readonly #opened = new Map<string, GatewayLink>();
  readonly #served = new Map<string, ServedLink>();
  /**
   * Links that this end let go of, the latest last. One must not begin again when a gateway that stood still repeats its first
   * packet: the gateway would take all that the second life of the link says for repetitions of the first.
   */
  readonly #let_go = new Set<string>();
  /** Nodes that are being looked at. */
  readonly #looking = new Set<string>();
  readonly #sending = new Set<Promise<boolean>>();
  readonly #timers: readonly Timer[];
  #pinged = { at: 0, answered: true, silent: 0 };
  #listening: Promise<void> | null = null;
  #closing = false;

  constructor(parts: SwitchboardParts) {
    this.#parts = parts;
    this.#channel = nodeChannel(parts.node);
    const { clock, bus } = parts;
    bus.listen({
      message: (channel, message) => {
        if (channel === this.#channel) this.#receive(message);
      },
      connected: () => {
        this.#pinged = { at: 0, answered: true, silent: 0 };
      },
    });
    this.#timers = [
      clock.every(TIMES.link_doubt_ms, () => this.#look((link) => link.unanswered_ms > TIMES.link_doubt_ms)),
      clock.every(TIMES.node_beat_ms, () => {
        this.#look((_link, busy) => busy);
        if (this.#listening !== null) this.#ping();
      }),
    ];
  }

  /** Begins to hear other nodes; resolves when it does. A Redis that is away now is listened to when it comes. */
  listen(): Promise<void> {
    this.#listening ??= this.#parts.bus.subscribe(this.#channel).catch(() => {});
    return this.#listening;
  }

  /** The link to an owner, opened if need be. */
  toward(owner: NodeIdentity): GatewayLink {
    for (const open of this.#opened.values()) if (open.owner.boot_id === owner.boot_id) return open;
    const { random, clock, observer } = this.#parts;
    const id = random.id();
    const link: GatewayLink = new GatewayLink(
      owner,
      (deliver) =>
        new Link({
          clock,
          send: (packet) => this.#send(owner, { link: id, end: 'gateway', ...packet }),
          deliver,
          overflow: () => this.#broken(id, 'more waits for the owner than may'),
          resent: (packets) => observer.resent(packets),
        }),
    );
    this.#opened.set(id, link);
    this.#count();
    return link;
  }

  /** Asks another node by name. Errors: what it answers; UNAVAILABLE when it does not within `limit_ms`. */
  async call(node: NodeIdentity, name: string, args: readonly unknown[], limit_ms: number): Promise<unknown> {
    if (this.#closing) throw unavailable('This node is shutting down.', 1);
    // A node that never had to hear others begins with its first question.
    const asked = this.listen().then(() => this.toward(node).call(name, args));
    const value = await within(this.#parts.clock, limit_ms, asked);
    if (value === TIMED_OUT) throw unavailable('The owner of the document does not answer; try again.', 1);
    return value;
  }

  /** All links that this node opened. */
  opened(): Iterable<GatewayLink> {
    return this.#opened.values();
  }

  /** Sends what waits, and stops. Resolves once the bus has it. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const timer of this.#timers) timer.cancel();
    for (const [id, { link, gateway }] of this.#served) {
      link.flush();
      // Gateways need not find out by themselves.
      this.#send(gateway, { link: id, end: 'owner', ack: null, data: null });
    }
    for (const link of this.#opened.values()) link.flush();
    await Promise.all(this.#sending);
    for (const id of [...this.#served.keys()]) this.#drop(id);
    for (const id of [...this.#opened.keys()]) this.#broken(id, 'this node is shutting down');
  }

  #receive(message: Uint8Array): void {
    let packet: Packet;
    try {
      packet = readPacket(message);
    } catch {
      this.#parts.log.warn('a message on the channel of this node is no packet; somebody else writes to it');
      return;
    }
    if (packet.link === PING) return this.#heardPing();
    if (this.#closing) return;
    try {
      if (packet.end === 'gateway') this.#serve(packet);
      else this.#answered(packet);
    } catch (error) {
      // What cannot be understood cannot be skipped either: a link has no gaps.
      this.#parts.log.error({ error, from_node: packet.from.node_id }, 'a packet of another node could not be taken');
      if (packet.end === 'gateway') this.#drop(packet.link);
      else this.#broken(packet.link, 'a packet could not be taken');
    }
  }

  /** A packet from a gateway. */
  #serve(packet: Packet): void {
    const known = this.#served.get(packet.link);
    if (packet.ack === null) return this.#drop(packet.link);
    if (known !== undefined) return known.link.receive(packet);
    if (packet.data?.seq !== 1 || this.#let_go.has(packet.link))
      return this.#send(packet.from, { link: packet.link, end: 'owner', ack: null, data: null });
    // A gateway has one link to an owner; an older one is one that it gave up.
    for (const [id, { gateway }] of this.#served) if (gateway.boot_id === packet.from.boot_id) this.#drop(id);
    this.#begin(packet.link, packet.from).receive(packet);
  }

  #begin(id: string, gateway: NodeIdentity): Link {
    const { clock, desk: parts, observer } = this.#parts;
    const link: Link = new Link({
      clock,
      send: (packet) => this.#send(gateway, { link: id, end: 'owner', ...packet }),
      deliver: (item) => desk.receive(item as ToOwner),
      overflow: () => this.#drop(id),
      resent: (packets) => observer.resent(packets),
    });
    const desk = new Desk(parts, (item) => link.post(item));
    this.#served.set(id, { link, desk, gateway });
    this.#count();
    return link;
  }

  /** A packet from an owner. */
  #answered(packet: Packet): void {
    const link = this.#opened.get(packet.link);
    if (link === undefined) {
      if (packet.ack !== null) this.#send(packet.from, { link: packet.link, end: 'gateway', ack: null, data: null });
    } else if (packet.ack === null) this.#broken(packet.link, 'the owner knows nothing of us any more');
    else link.receive(packet);
  }

  #send(to: NodeIdentity, packet: Omit<Packet, 'from'>): void {
    const { bus, node } = this.#parts;
    const sent = bus.publish(nodeChannel(to), packetBytes({ ...packet, from: node }));
    this.#sending.add(sent);
    void sent.finally(() => this.#sending.delete(sent));
  }

  /** Looks at the processes behind some links; those that are gone take their links with them. */
  #look(whose: (link: { readonly unanswered_ms: number }, busy: boolean) => boolean): void {
    const doubted = new Map<string, NodeIdentity>();
    for (const link of this.#opened.values()) if (whose(link, link.busy)) doubted.set(link.owner.boot_id, link.owner);
    for (const { link, desk, gateway } of this.#served.values())
      if (whose(link, desk.size > 0)) doubted.set(gateway.boot_id, gateway);
    for (const node of doubted.values()) {
      if (this.#looking.has(node.boot_id)) continue;
      this.#looking.add(node.boot_id);
      this.#parts.lives(node).then(
        (lives) => {
          this.#looking.delete(node.boot_id);
          if (!lives) this.#gone(node);
        },
        () => {
          // Nobody can say just now; the next look may.
          this.#looking.delete(node.boot_id);
        },
      );
    }
  }

  #gone(node: NodeIdentity): void {
    this.#parts.log.warn({ gone_node: node.node_id }, 'a node is gone; its documents and members are let go');
    for (const [id, link] of this.#opened)
      if (link.owner.boot_id === node.boot_id) this.#broken(id, 'the owner is gone');
    for (const [id, { gateway }] of this.#served) if (gateway.boot_id === node.boot_id) this.#drop(id);
  }

  #broken(id: string, reason: string): void {
    const link = this.#opened.get(id);
    if (link === undefined) return;
    this.#opened.delete(id);
    this.#count();
    this.#parts.observer.broken();
    if (link.busy && !this.#closing)
      this.#parts.log.warn({ owner_node: link.owner.node_id, reason }, 'a link broke; its sockets reconnect');
    link.end();
  }

  #drop(id: string): void {
    const served = this.#served.get(id);
    if (served === undefined) return;
    this.#served.delete(id);
    this.#let_go.add(id);
    for (const oldest of this.#let_go)
      if (this.#let_go.size > LIMITS.links_let_go_kept_max) this.#let_go.delete(oldest);
    this.#count();
    served.link.close();
    served.desk.end();
  }

  #count(): void {
    this.#parts.observer.links('gateway', this.#opened.size);
    this.#parts.observer.links('owner', this.#served.size);
  }

  /** A subscription can go deaf without a word: a message to oneself shows it. */
  #ping(): void {
    const { bus, clock, node } = this.#parts;
    if (!this.#pinged.answered && this.#pinged.silent >= 2) {
      this.#pinged = { at: 0, answered: true, silent: 0 };
      return bus.reconnect();
    }
    const silent = this.#pinged.answered ? 0 : this.#pinged.silent;
    const ping = { at: clock.monotonic(), answered: false, silent };
    this.#pinged = ping;
    const packet = packetBytes({ link: PING, from: node, end: 'gateway', ack: null, data: null });
    void bus.publish(this.#channel, packet).then((taken) => {
      // Redis that takes nothing is no sign of a deaf subscription.
      if (taken) ping.silent += 1;
      else ping.answered = true;
    });
  }

  #heardPing(): void {
    if (this.#pinged.answered) return;
    this.#pinged.answered = true;
    this.#parts.observer.lag(this.#parts.clock.monotonic() - this.#pinged.at);
  }
}
