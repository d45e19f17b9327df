/**
 * One seed: a document, those who edit it, what they do, and what must be true when they are done.
 *
 * What each actor does is drawn from the seed; how their doings interleave on the server is left to real sockets and
 * real storage, as that is what is tested. So a seed that failed once may need a few more runs to fail again, and the log
 * of the failure holds everything that happened in it.
 */
import { systemClock, TIMED_OUT, within } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { TestServer, TestUser } from '../support/server.ts';
import { JsonActor, Ledger, RestActor, type Stage, YjsActor } from './actors.ts';
import { checkEnd, type Ended, settle } from './checks.ts';
import { Dice } from './edits.ts';
import { Restorer } from './restorer.ts';
import { holdUp, type Usurper } from './usurper.ts';

/** What is done to the server while they edit. */
export type Trouble =
  | 'none'
  /** The document's owner loses it, with everything that it had not written. */
  | 'owner_lost'
  /** The server stops in order and starts again; whoever plays the scenario does that. */
  | 'restart';

/** Those who are signed in, made once per server. */
export interface Cast {
  readonly owner: TestUser;
  readonly editor: TestUser;
  readonly viewer: TestUser;
}

const OPERATIONS_MIN = 30;
const OPERATIONS_MAX = 80;

/** Far more than it takes, so that what hangs is told with its log. */
const PLAY_MS_MAX = 60_000;

type Editor = JsonActor | YjsActor;

/** See the head of this file. */
export class Scenario {
  readonly #seed: number;
  readonly #server: TestServer;
  readonly #dice: Dice;
  readonly #log: string[] = [];
  readonly #ledger = new Ledger();
  readonly #json: JsonActor[] = [];
  readonly #yjs: YjsActor[] = [];
  readonly #trouble: Trouble;
  readonly #began = performance.now();
  #viewer: Editor | null = null;
  #rest: RestActor | null = null;
  #restorer: Restorer | null = null;
  #doc_id = '';
  #usurper: Usurper | null = null;

  constructor(
    seed: number,
    server: TestServer,
    trouble: Trouble,
    /** Whether somebody restores in between. */
    private readonly restores = false,
  ) {
    this.#seed = seed;
    this.#server = server;
    this.#trouble = trouble;
    this.#dice = new Dice(seededRandom(seed));
  }

  /** What happened, line by line. */
  get log(): readonly string[] {
    return this.#log;
  }

  /**
   * Plays the seed; null when all went well, else the whole report. `halfway` is awaited in the middle, and `later` some
   * edits after that.
   */
  async play(
    cast: Cast,
    halfway: () => Promise<void> = async () => {},
    later: () => Promise<void> | null = () => null,
  ): Promise<string | null> {
    try {
      const played = await within(systemClock, PLAY_MS_MAX, this.#act(cast, halfway, later));
      if (played === TIMED_OUT) throw new Error(`it did not come to an end within ${PLAY_MS_MAX} ms`);
      return null;
    } catch (error) {
      return await this.#report(error);
    } finally {
      for (const actor of this.#editors()) actor.end();
    }
  }

  async #act(cast: Cast, halfway: () => Promise<void>, later: () => Promise<void> | null): Promise<void> {
    await this.#open(cast);
    const operations = OPERATIONS_MIN + this.#dice.below(OPERATIONS_MAX - OPERATIONS_MIN + 1);
    for (let step = 0; step < operations; step += 1) {
      if (step === operations >> 1) await halfway();
      if (step === (operations * 3) >> 2) await later();
      await this.#step();
    }
    await this.#close();
    const ended = this.#ended();
    const rev = await settle(ended);
    await checkEnd(ended, rev);
    if (this.#restorer === null) return;
    await this.#restorer.finish(rev);
    this.#ledger.restored();
    await checkEnd(ended, await settle(ended));
  }

  async #open({ owner, editor, viewer }: Cast): Promise<void> {
    const server = this.#server;
    this.#doc_id = await server.createDocument(owner, this.#dice.once(2) ? 'Once upon a time 😀\n' : undefined);
    await server.share(owner, this.#doc_id, editor, 'editor');
    await server.share(owner, this.#doc_id, viewer, 'viewer');
    const stage = (name: string, user: TestUser): Stage => this.#stage(name, user);
    // Who comes first is drawn: a document that only Yjs clients have open computes no deltas.
    const arrivals: (() => void)[] = [
      () => this.#json.push(new JsonActor(stage('json-1', owner))),
      () => this.#json.push(new JsonActor(stage('json-2', editor))),
      () => this.#yjs.push(new YjsActor(stage('yjs-1', owner))),
      () => this.#yjs.push(new YjsActor(stage('yjs-2', editor))),
      () => {
        const watching = stage('viewer', viewer);
        this.#viewer = this.#dice.once(2) ? new JsonActor(watching) : new YjsActor(watching);
      },
    ];
    const first = this.#dice.below(arrivals.length);
    for (const arrive of [...arrivals.slice(first), ...arrivals.slice(0, first)]) {
      arrive();
      await this.#breathe();
    }
    this.#rest = new RestActor(stage('rest', editor));
    if (this.restores) this.#restorer = new Restorer(stage('restorer', owner));
  }

  #stage(name: string, user: TestUser): Stage {
    const random = seededRandom(this.#dice.random.uint32());
    return {
      server: this.#server,
      doc_id: this.#doc_id,
      user,
      name,
      client_id: random.id(),
      lossy: this.#trouble === 'owner_lost',
      dice: new Dice(random),
      ledger: this.#ledger,
      note: (what, detail) => this.#note(name, what, detail),
    };
  }

  async #step(): Promise<void> {
    const dice = this.#dice;
    const what = dice.below(40);
    const [first, ...others] = [...this.#json, ...this.#yjs];
    if (first === undefined) return;
    if (this.#restorer !== null && dice.once(8)) this.#restorer.act();
    const editor = dice.pick<Editor>([first, ...others]);
    if (what < 26) editor.edit();
    else if (what < 33) editor.disturb();
    else if (what === 33) this.#viewer?.disturb();
    else if (what < 38) this.#rest?.act();
    else if (this.#trouble === 'owner_lost') await this.#loseOwner();
    await this.#breathe();
  }

  /** Lets the event loop turn a few times, or not at all, so that some edits share a turn of the server's. */
  async #breathe(): Promise<void> {
    for (let turns = this.#dice.below(4); turns > 0; turns -= 1) await new Promise((resolve) => setImmediate(resolve));
  }

  /** The first time, the journal is held up; the next time, the document is taken from its owner. */
  async #loseOwner(): Promise<void> {
    if (this.#usurper === null) {
      this.#note('storage', 'is held up');
      this.#usurper = await holdUp(this.#server.sql, this.#doc_id);
    } else await this.#usurp();
  }

  async #usurp(): Promise<void> {
    if (this.#usurper === null) return;
    this.#note('owner', 'loses the document');
    const usurper = this.#usurper;
    this.#usurper = null;
    await usurper.take();
  }

  async #close(): Promise<void> {
    await this.#usurp();
    this.#note('all', 'come to rest');
    for (const actor of this.#editors()) actor.calm();
    await Promise.all([this.#rest?.calm(), this.#restorer?.calm()]);
  }

  #editors(): Editor[] {
    return [...this.#json, ...this.#yjs, ...(this.#viewer === null ? [] : [this.#viewer])];
  }

  #ended(): Ended {
    const editors = this.#editors();
    return {
      server: this.#server,
      doc_id: this.#doc_id,
      json: editors.filter((actor) => actor instanceof JsonActor),
      yjs: editors.filter((actor) => actor instanceof YjsActor),
      rest: this.#rest?.taken ?? [],
      ledger: this.#ledger,
    };
  }

  #note(who: string, what: string, detail?: unknown): void {
    const at = (performance.now() - this.#began).toFixed(1).padStart(7);
    this.#log.push(`${at} ${who.padEnd(8)} ${what}${detail === undefined ? '' : ` ${JSON.stringify(detail)}`}`);
  }

  async #report(error: unknown): Promise<string> {
    const names = new Map(
      [...this.#editors(), this.#rest].flatMap((actor) =>
        actor === null ? [] : [[actor.stage.client_id, actor.stage.name]],
      ),
    );
    const rows = await this.#server.sql<
      { rev: number; epoch: number; client_id: string; seq: number | null; delta: string }[]
    >`
      SELECT rev, epoch, client_id, seq, delta FROM document_updates WHERE doc_id = ${this.#doc_id || null} ORDER BY rev`;
    return [
      `seed ${this.#seed} failed: ${error instanceof Error ? error.message : error}`,
      `replay it with: bun test/fuzz/convergence.ts --seed=${this.#seed} --trouble=${this.#trouble}${this.restores ? ' --restores' : ''} --verbose`,
      'what happened (milliseconds, who, what):',
      ...this.#log,
      'the journal (rev, epoch, who, seq, delta):',
      ...rows.map(
        (row) => `${row.rev} ${row.epoch} ${names.get(row.client_id) ?? row.client_id} ${row.seq ?? '-'} ${row.delta}`,
      ),
      ...(error instanceof Error && error.stack !== undefined ? [error.stack] : []),
    ].join('\n');
  }
}
