/**
 * Where the clients of a fault test come in: a server by itself, or whichever of several nodes a load balancer would give
 * them. A balancer leaves out nodes that do not answer `/readyz`; here the test says which those are, by shutting a node's
 * door when it does something to it.
 */
import type { Answer, Concord, Person } from './concord.ts';

/** See the head of this file. */
export interface Entrance {
  /** Where to connect now. */
  readonly ws_url: string;
  /** Whether clients are meant to find a server now. */
  readonly is_open: boolean;
  /** What was read while this was another number may not hold any more. */
  readonly boot: number;
  /** Resolves when clients are meant to find a server. */
  serving(): Promise<void>;
  /** A REST call with a JSON body. */
  call(method: string, path: string, token?: string, body?: unknown): Promise<Answer>;
  /** The text, an embed being U+FFFC, and its revision. */
  text(person: Person, doc_id: string): Promise<{ readonly rev: number; readonly value: string }>;
}

/** How long a node may keep a program waiting before it asks another. */
const ANSWER_MS_MAX = 10_000;

/** The way in to some of several nodes: the home node while its door is open, otherwise the next one. */
export class BalancedEntrance implements Entrance {
  #reads = 0;

  constructor(
    private readonly nodes: readonly Concord[],
    private readonly home: number,
  ) {}

  get ws_url(): string {
    return this.#node().ws_url;
  }

  get is_open(): boolean {
    return this.nodes.some(({ is_open }) => is_open);
  }

  /** Another number each time: no client can tell when an owner died whose edits it had read before they were written. */
  get boot(): number {
    this.#reads += 1;
    return this.#reads;
  }

  serving(): Promise<void> {
    return Promise.race(this.nodes.map((node) => node.serving()));
  }

  call(method: string, path: string, token?: string, body?: unknown): Promise<Answer> {
    return this.#node().call(method, path, token, body, ANSWER_MS_MAX);
  }

  text(person: Person, doc_id: string): Promise<{ readonly rev: number; readonly value: string }> {
    return this.#node().text(person, doc_id);
  }

  #node(): Concord {
    const { nodes, home } = this;
    const from_home = nodes.map((_, i) => nodes[(home + i) % nodes.length]);
    const node = from_home.find((found) => found?.is_open) ?? from_home[0];
    if (node === undefined) throw new Error('there is no node');
    return node;
  }
}
