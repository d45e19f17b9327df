/**
 * Everybody who works on one document, through every door, spread over the nodes of a cluster; and what must hold of them
 * once they rest: every edit that was made is there exactly once, the journal has no gap and no epoch that falls, and every
 * copy of the document, in clients, behind REST on every node, and as told on its channel, is the journal's.
 */
import type { Random } from '../../src/base/random.ts';
import { until } from '../support/until.ts';
import type { Cluster } from './cluster.ts';
import type { Person } from './concord.ts';
import { canonical } from './history.ts';
import { type ClientParts, JsonClient } from './json-client.ts';
import type { Ledger } from './ledger.ts';
import { RestWriter } from './rest-writer.ts';
import { StockClient } from './stock-client.ts';
import type { Tap } from './tap.ts';
import { YjsClient } from './yjs-client.ts';

/** What a crowd is made of. */
export interface CrowdParts {
  readonly cluster: Cluster;
  readonly ledger: Ledger;
  readonly random: Random;
  readonly people: readonly [Person, Person, Person];
  readonly doc_id: string;
  /** Unique within a test. */
  readonly name: string;
  /** The node that the first of them comes in by; the others take the next ones. */
  readonly home: number;
  readonly think_ms?: number;
}

/** How long what was made may take to be acknowledged once nobody makes more. */
const SETTLE_MS_MAX = 40_000;
/** Coming back may take as long as the longest fault and a takeover. */
const PATIENCE_MS = 60_000;

/** See the head of this file. */
export class Crowd {
  readonly doc_id: string;
  readonly json: readonly JsonClient[];
  readonly yjs: readonly YjsClient[];
  readonly stock: readonly StockClient[];
  readonly rest: readonly RestWriter[];

  constructor(private readonly parts: CrowdParts) {
    const { cluster, ledger, random, people, doc_id, name, home, think_ms } = parts;
    this.doc_id = doc_id;
    let place = 0;
    const next = (kind: string): ClientParts => {
      const person = people[place % people.length] as Person;
      const pace = think_ms === undefined ? {} : { think_ms };
      const entrance = cluster.entrance(home + place);
      place += 1;
      return {
        concord: entrance,
        ledger,
        random,
        person,
        doc_id,
        name: `${name}${kind}`,
        patience_ms: PATIENCE_MS,
        ...pace,
      };
    };
    this.json = [new JsonClient(next('j1')), new JsonClient(next('j2'))];
    this.yjs = [new YjsClient(next('y1'))];
    this.stock = [new StockClient(next('s1')), new StockClient(next('s2'))];
    this.rest = [new RestWriter(next('r1'))];
  }

  /** Those with a connection. */
  get members(): readonly (JsonClient | YjsClient | StockClient)[] {
    return [...this.json, ...this.yjs, ...this.stock];
  }

  /** Connects everybody. */
  async arrive(): Promise<void> {
    for (const member of this.members) member.stay();
    await until(
      `everybody on ${this.doc_id} to have arrived`,
      () => this.members.every(({ is_ready }) => is_ready),
      30_000,
    );
  }

  /** Has everybody type until they are told to rest. */
  type(): void {
    for (const client of [...this.members, ...this.rest]) client.typing = true;
    for (const client of [...this.json, ...this.yjs]) client.type();
    for (const writer of this.rest) writer.stay();
  }

  /** Has everybody stop typing. What they made may still be on its way. */
  hush(): void {
    for (const client of [...this.members, ...this.rest]) client.typing = false;
  }

  /** Everybody goes. */
  leave(): void {
    for (const member of this.members) member.leave();
  }

  /**
   * Waits for a crowd that was hushed to have everything, and says what is wrong. `tap`: what was published, and whether
   * nothing of that can have been lost.
   */
  async wrongs(tap: { readonly tap: Tap; readonly complete: boolean } | null): Promise<string[]> {
    const { cluster, ledger } = this.parts;
    const late = await this.#lateness();
    if (late.length > 0) return late;
    const wrongs: string[] = [];
    const history = await cluster.history(this.doc_id);
    const journaled = history.doc.getText('content');
    const [text, ops] = [journaled.toString(), canonical(journaled.toDelta())];
    wrongs.push(...history.wrongs, ...ledger.wrongs(this.doc_id, text, true));
    for (const [i, client] of this.json.entries())
      if (!Bun.deepEquals(canonical(client.content.ops), ops))
        wrongs.push(`JSON client ${i} shows ${differs(client.text, text)}`);
    for (const [i, client] of [...this.yjs, ...this.stock].entries())
      if (!Bun.deepEquals(canonical(client.doc.getText('content').toDelta()), ops))
        wrongs.push(`Yjs client ${i} shows ${differs(client.text, text)}`);
    for (const { name, concord } of cluster.open) {
      const { rev, value } = await concord.text(this.parts.people[0], this.doc_id);
      if (value !== text || rev !== history.head_rev)
        wrongs.push(`REST on ${name} reads revision ${rev} of ${history.head_rev}, ${differs(value, text)}`);
    }
    if (tap?.complete)
      await until('all to be told', () => tap.tap.head(this.doc_id) >= history.head_rev).catch(() => {});
    if (tap !== null) wrongs.push(...tap.tap.wrongs(this.doc_id, history.rows, text, tap.complete));
    return wrongs.map((wrong) => `${this.doc_id}: ${wrong}`);
  }

  /** What does not come though it should. */
  async #lateness(): Promise<string[]> {
    const { cluster } = this.parts;
    const all = [...this.members, ...this.rest];
    const what = (holds: (client: (typeof all)[number]) => boolean): string =>
      all
        .filter((client) => !holds(client))
        .map((client) => client.name)
        .join(', ');
    const settled = (client: (typeof all)[number]): boolean => !('is_settled' in client) || client.is_settled;
    const ready = (client: (typeof all)[number]): boolean => !('is_ready' in client) || client.is_ready;
    try {
      await until('everything to be acknowledged', () => all.every(settled), SETTLE_MS_MAX);
      await until('everybody to be connected', () => all.every(ready), SETTLE_MS_MAX);
      await until('all copies to be one', () => this.#agrees(cluster), SETTLE_MS_MAX);
      return [];
    } catch (error) {
      const waiting = `not acknowledged: ${what(settled) || 'nobody'}; not connected: ${what(ready) || 'nobody'}`;
      return [`${this.doc_id}: ${(error as Error).message}; ${waiting}; ${await this.#copies()}`];
    }
  }

  /** Whether everybody shows what REST reads: the stock clients' edits have arrived when they do. */
  async #agrees(cluster: Cluster): Promise<boolean> {
    const { value, rev } = await cluster.entrance(0).text(this.parts.people[0], this.doc_id);
    return this.members.every(({ text }) => text === value) && this.json.every((client) => client.rev === rev);
  }

  async #copies(): Promise<string> {
    const { cluster, people } = this.parts;
    const reads = await Promise.all(
      cluster.open.map(async ({ name, concord }) => {
        const read = await concord
          .text(people[0], this.doc_id)
          .catch((error: Error) => ({ rev: error.message, value: '' }));
        return `${name}: rev ${read.rev}, ${read.value.length} characters`;
      }),
    );
    const shown = this.members.map((member) => {
      const rev = member instanceof JsonClient ? `rev ${member.rev}, ` : '';
      return `${member.name}: ${rev}${member.text.length} characters`;
    });
    return [...reads, ...shown].join('; ');
  }
}

/** Where two texts part. */
function differs(shown: string, text: string): string {
  if (shown === text) return 'the same text, formatted otherwise';
  let at = 0;
  while (at < text.length && shown[at] === text[at]) at += 1;
  const part = (of: string): string => JSON.stringify(of.slice(Math.max(0, at - 20), at + 40));
  return `another text (${shown.length} characters of ${text.length}): ${part(shown)} for ${part(text)}`;
}
