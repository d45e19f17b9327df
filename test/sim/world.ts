/**
 * One run of the simulation, all of it from one seed: some nodes on one storage and one Redis, some people and a program
 * on a document or two, and for a while everything that can befall them. Then the faults stop, what is down comes back, and
 * everybody must come to rest with one text (check.ts).
 */
import { seededRandom } from '../../src/base/random.ts';
import { TIMES } from '../../src/protocol/limits.ts';
import { Dice } from '../fuzz/edits.ts';
import { disagreement, journalFaults } from './check.ts';
import { JsonPerson } from './json-person.ts';
import { SimNode } from './node.ts';
import { type Client, type Place, Typed } from './place.ts';
import { SimRedis } from './redis.ts';
import { RestProgram } from './rest-program.ts';
import { Storage } from './storage.ts';
import { Host, Time } from './time.ts';
import { Trace } from './trace.ts';
import { YjsPerson } from './yjs-person.ts';

/** How a run ended. */
export interface Played {
  readonly seed: number;
  /** Equal for equal runs. */
  readonly hash: string;
  /** What was wrong; empty when nothing was. */
  readonly faults: readonly string[];
  /** What happened, when it was asked for. */
  readonly lines: readonly string[];
  readonly events: number;
  /** Simulated milliseconds. */
  readonly duration_ms: number;
}

/** Who must be at rest by then, after the faults have stopped. */
const REST_MS_MAX = 120_000;
/** How often that is looked at. */
const LOOK_MS = 250;
/** After this a node that stands still has lost its documents: its key expires, and it is waited for twice. */
const LOST_SIGHT_MS = TIMES.node_life_ms + TIMES.node_beat_ms * 5;
/** A run has more than enough of these. */
const FAULTS_MAX = 10;

/** Plays a seed. */
export function play(
  seed: number,
  keep = false,
  makeStorage = (...parts: StorageParts) => new Storage(...parts),
): Played {
  return new World(seed, keep, makeStorage).play();
}

/** How many come to a document, with each wire. */
const CROWDS: readonly [Crowd, ...Crowd[]] = [
  { json: 2, yjs: 1 },
  { json: 1, yjs: 1 },
  { json: 2, yjs: 0 },
  { json: 1, yjs: 2 },
  { json: 0, yjs: 2 },
  { json: 1, yjs: 0 },
];

interface Crowd {
  readonly json: number;
  readonly yjs: number;
}

/** What a storage is made of. */
export type StorageParts = ConstructorParameters<typeof Storage>;

interface Desk {
  readonly doc_id: string;
  readonly typed: Typed;
  readonly clients: Client[];
  readonly programs: RestProgram[];
}

class World {
  readonly #time = new Time();
  readonly #trace: Trace;
  readonly #dice: Dice;
  readonly #server: Host;
  readonly #storage: Storage;
  readonly #redis: SimRedis;
  readonly #nodes: SimNode[] = [];
  readonly #desks: Desk[] = [];
  readonly #faults: string[] = [];
  /** Whether clients are led to any node, or by their document as a balancer that hashes does it. */
  readonly #scattered: boolean;
  #healed = false;

  constructor(
    readonly seed: number,
    keep: boolean,
    makeStorage: (...parts: StorageParts) => Storage,
  ) {
    const random = seededRandom(seed);
    const time = this.#time;
    this.#trace = new Trace(time, keep);
    this.#dice = new Dice(random);
    const dice = this.#dice;
    this.#server = new Host('stores', time);
    this.#storage = makeStorage(this.#server, this.#trace, seededRandom(random.uint32()));
    this.#redis = new SimRedis(this.#server, time, this.#trace, seededRandom(random.uint32()));
    this.#scattered = !dice.once(4);
    time.failed = (host, error) =>
      this.#fault(`an event of ${host.name} threw: ${error instanceof Error ? error.stack : String(error)}`);
    const ground = {
      time,
      trace: this.#trace,
      storage: this.#storage,
      redis: this.#redis,
      random: seededRandom(random.uint32()),
      passivate_after_ms: dice.once(2) ? 30_000 : 500 + dice.below(3_000),
      fault: (what: string) => this.#fault(what),
    };
    const nodes = dice.once(8) ? 1 : 2 + dice.below(2);
    for (let i = 1; i <= nodes; i++) this.#nodes.push(new SimNode(`node${i}`, ground));
    const documents = dice.once(4) ? 2 : 1;
    for (let i = 0; i < documents; i++) this.#desks.push(this.#seat(i));
  }

  play(): Played {
    const time = this.#time;
    // Mostly dense, since an idle world costs time too.
    const active_ms = 2_000 + this.#dice.below(this.#dice.once(3) ? 12_000 : 4_000);
    const begun_ms = this.#dice.once(6) ? this.#loseSight() : 0;
    this.#planEdits(begun_ms, active_ms);
    this.#planFaults(begun_ms, active_ms);
    time.runUntil(begun_ms + active_ms);
    this.#heal();
    const rested = this.#rest();
    if (rested !== null) {
      this.#fault(`they do not come to rest: ${rested}`);
      for (const { name, states } of this.#nodes) this.#fault(`${name} has ${states.join(', ') || 'no document'}`);
    }
    this.#faults.push(...this.#storage.faults);
    this.#tellJournals();
    for (const { doc_id, typed } of this.#desks)
      this.#faults.push(...journalFaults(this.#storage.document(doc_id), typed));
    return {
      seed: this.seed,
      hash: this.#trace.hash,
      faults: this.#faults,
      lines: this.#trace.lines,
      events: time.count,
      duration_ms: time.now,
    };
  }

  #fault(what: string): void {
    this.#trace.note('FAULT', what);
    if (this.#faults.length < FAULTS_MAX) this.#faults.push(what);
  }

  /** The journals, as the end of what is told of a run. */
  #tellJournals(): void {
    for (const { doc_id, clients, programs } of this.#desks) {
      const names = new Map([...clients, ...programs].map(({ place }) => [place.client_id, place.name]));
      for (const { rev, epoch, client_id, seq, delta } of this.#storage.document(doc_id).rows)
        this.#trace.note('journal', `${rev} (epoch ${epoch}) ${names.get(client_id)} ${seq ?? '-'} ${delta}`);
    }
  }

  // ── the people ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #seat(index: number): Desk {
    const dice = this.#dice;
    const doc_id = dice.random.id();
    this.#storage.create(doc_id);
    const desk: Desk = { doc_id, typed: new Typed(), clients: [], programs: [] };
    const place = (name: string): Place => this.#place(desk, `${name}${index === 0 ? '' : "'"}`, index);
    const { json, yjs } = dice.pick(CROWDS);
    for (let i = 1; i <= json; i++) desk.clients.push(new JsonPerson(place(`json${i}`)));
    for (let i = 1; i <= yjs; i++) desk.clients.push(new YjsPerson(place(`yjs${i}`)));
    if (dice.once(2)) desk.programs.push(new RestProgram(place('rest')));
    return desk;
  }

  #place({ doc_id, typed }: Desk, name: string, index: number): Place {
    const { random } = this.#dice;
    return {
      name,
      doc_id,
      typed,
      user_id: random.id(),
      client_id: random.id(),
      time: this.#time,
      trace: this.#trace,
      dice: new Dice(seededRandom(random.uint32())),
      stored: this.#storage.document(doc_id),
      route: () => this.#route(index),
      fault: (what) => this.#fault(what),
    };
  }

  /** A balancer, which knows mostly who is up. */
  #route(index: number): SimNode {
    const dice = this.#dice;
    const open = this.#nodes.filter((node) => node.open);
    const among = open.length === 0 || dice.once(10) ? this.#nodes : open;
    const node = among[this.#scattered || dice.once(6) ? dice.below(among.length) : index % among.length];
    if (node === undefined) throw new Error('there are no nodes');
    return node;
  }

  #planEdits(begun_ms: number, active_ms: number): void {
    const dice = this.#dice;
    for (const { clients, programs } of this.#desks)
      for (const writer of [...clients, ...programs]) {
        const edits = 1 + dice.below(8);
        // Some type now and then, some in a burst.
        const burst = dice.once(3) ? { from: dice.below(active_ms), length: 1_000 } : { from: 0, length: active_ms };
        for (let i = 0; i < edits; i++)
          this.#server.receive(begun_ms + burst.from + dice.below(burst.length), () => {
            if (!this.#healed) writer.edit();
          });
      }
  }

  // ── what befalls them ──────────────────────────────────────────────────────────────────────────────────────────────

  #planFaults(begun_ms: number, active_ms: number): void {
    const dice = this.#dice;
    if (dice.once(3)) this.#storage.unknown_once_in = 10 + dice.below(60);
    if (dice.once(3)) this.#redis.unknown_once_in = 10 + dice.below(60);
    if (dice.once(2)) this.#redis.lost_once_in = 5 + dice.below(60);
    if (dice.once(3)) this.#redis.repeated_once_in = 5 + dice.below(40);
    const faults = dice.below(7);
    for (let i = 0; i < faults; i++) this.#server.receive(begun_ms + dice.below(active_ms), () => this.#strike());
  }

  /**
   * Before anything else a node stands still until others take what it owns, and wakes without knowing: half of what follows
   * meets an owner that is none. Returns when it wakes, or a little before.
   */
  #loseSight(): number {
    const dice = this.#dice;
    const node = this.#nodes[dice.below(this.#nodes.length)];
    const duration_ms = LOST_SIGHT_MS + dice.below(3_000);
    const begin_ms = 50 + dice.below(400);
    this.#server.receive(begin_ms, () => {
      if (node !== undefined) this.#pause(node, duration_ms);
    });
    for (const { clients, programs } of this.#desks) {
      // What makes it an owner, and what makes another one write; who stays with it and types there wakes it up soon.
      for (const writer of [...clients, ...programs]) this.#server.receive(dice.below(begin_ms), () => writer.edit());
      for (const writer of [...clients.filter(() => dice.once(4)), ...programs])
        this.#server.receive(begin_ms + dice.below(duration_ms), () => writer.edit());
      for (const client of clients)
        if (dice.once(2)) this.#server.receive(begin_ms + dice.below(duration_ms), () => client.disturb('cut'));
      for (const client of clients)
        if (dice.once(2)) this.#server.receive(begin_ms + duration_ms + dice.below(1_000), () => client.disturb('cut'));
    }
    return begin_ms + duration_ms - 500;
  }

  #strike(): void {
    if (this.#healed) return;
    const dice = this.#dice;
    const node = this.#nodes[dice.below(this.#nodes.length)];
    const desk = this.#desks[dice.below(this.#desks.length)];
    const client = desk?.clients[dice.below(desk.clients.length)];
    if (node === undefined || client === undefined) return;
    const kind = dice.below(17);
    if (kind < 4) {
      const how = dice.pick<'cut' | 'block' | 'away'>(['cut', 'cut', 'block', 'away']);
      this.#trace.note(client.place.name, `line: ${how}`);
      client.disturb(how);
    } else if (kind < 6) this.#pause(node, dice.below(dice.pick([300, 3_000, 25_000])));
    else if (kind < 8) this.#crash(node);
    else if (kind === 8) this.#leave(node);
    else if (kind === 9) this.#storageAway(dice.once(2) ? 'away' : 'hung');
    else if (kind === 10) this.#redisAway();
    else if (kind === 11) {
      this.#trace.note('redis', 'is flushed');
      this.#redis.flush();
    } else if (kind < 15) this.#cutOff(node, kind === 12 ? 'storage' : 'redis');
    else {
      const how = kind === 15 ? 'cut' : 'deaf';
      this.#trace.note(node.name, `subscriptions: ${how}`);
      this.#redis.disturb(node.host, how);
    }
  }

  #pause(node: SimNode, duration_ms: number): void {
    const { host } = node;
    if (!host.up) return;
    const dice = this.#dice;
    this.#trace.note(node.name, `stands still for ${duration_ms} ms`);
    host.stop();
    const timers_first = dice.once(2);
    this.#server.receive(duration_ms, () => this.#wake(node, host, timers_first));
  }

  #wake(node: SimNode, host: Host, timers_first: boolean): void {
    if (!host.still) return;
    this.#trace.note(node.name, 'goes on');
    host.wake(timers_first);
  }

  #crash(node: SimNode): void {
    const dice = this.#dice;
    const told = !dice.once(4);
    node.crash(told);
    if (!told) this.#server.receive(1_000 + dice.below(15_000), () => node.forgotten());
    this.#server.receive(100 + dice.below(10_000), () => node.restart());
  }

  #leave(node: SimNode): void {
    node.leave();
    this.#server.receive(500 + this.#dice.below(12_000), () => node.restart());
  }

  /** A node that everybody else reaches, and that reaches everybody but one of the stores. */
  #cutOff({ name, host }: SimNode, from: 'storage' | 'redis'): void {
    const dice = this.#dice;
    const duration_ms = dice.below(dice.pick([3_000, 16_000]));
    this.#trace.note(name, `is cut off from ${from} for ${duration_ms} ms`);
    if (from === 'redis') this.#redis.cutOff(host, dice.once(2));
    else this.#storage.cut_off.add(host);
    this.#server.receive(duration_ms, () => {
      this.#trace.note(name, `reaches ${from} again`);
      if (from === 'redis') this.#redis.reachAgain(host);
      else this.#storage.cut_off.delete(host);
    });
  }

  #storageAway(how: 'away' | 'hung'): void {
    const duration_ms = 100 + this.#dice.below(how === 'away' ? 5_000 : 14_000);
    this.#trace.note('storage', `is ${how} for ${duration_ms} ms`);
    this.#storage.health = how;
    this.#server.receive(duration_ms, () => {
      this.#trace.note('storage', 'is well');
      this.#storage.heal();
    });
  }

  #redisAway(): void {
    if (this.#redis.away) return;
    const dice = this.#dice;
    const duration_ms = 100 + dice.below(12_000);
    this.#trace.note('redis', `is away for ${duration_ms} ms`);
    this.#redis.leave();
    const forgetful = dice.once(2);
    this.#server.receive(duration_ms, () => {
      if (!this.#redis.away) return;
      this.#trace.note('redis', `is back${forgetful ? ', and remembers nothing' : ''}`);
      this.#redis.comeBack(forgetful);
    });
  }

  // ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────────

  #heal(): void {
    this.#trace.note('all', 'faults end');
    this.#healed = true;
    this.#storage.unknown_once_in = 0;
    this.#storage.heal();
    this.#redis.heal();
    for (const node of this.#nodes) {
      node.host.wake(true);
      node.restart();
    }
    for (const { clients } of this.#desks) for (const client of clients) client.calm();
  }

  /** Waits until all rest and agree; returns what they were still at when they do not. */
  #rest(): string | null {
    const end = this.#time.now + REST_MS_MAX;
    let reason: string | null = 'nobody looked';
    while (this.#time.now < end && reason !== null && this.#faults.length < FAULTS_MAX) {
      this.#time.runUntil(this.#time.now + LOOK_MS);
      reason = this.#unrest();
    }
    return reason;
  }

  #unrest(): string | null {
    for (const { clients, programs } of this.#desks)
      for (const writer of [...clients, ...programs]) {
        const reason = writer.unrest();
        if (reason !== null) return reason;
      }
    for (const { doc_id, clients } of this.#desks) {
      const reason = disagreement(this.#storage.document(doc_id), clients);
      if (reason !== null) return reason;
    }
    return null;
  }
}
