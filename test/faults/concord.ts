/**
 * Concord as its users run it, for tests that take it apart: `bun src/main.ts` in a process of its own, on a PostgreSQL
 * and a Redis that the test may stop, and the few REST calls that such tests need. Every start is on the same port, so
 * that clients find the server again.
 */
import { freePort } from '../../bin/lib/ports.ts';
import type { DeltaOps } from '../../src/protocol/content/delta.ts';
import { type ServerProcess, startServer } from '../support/processes.ts';
import { until } from '../support/until.ts';

/** Somebody with an account, signed in. */
export interface Person {
  readonly user_id: string;
  readonly email: string;
  /** An access token. */
  readonly token: string;
}

/** A REST answer, read. */
export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape
  readonly body: any;
}

/** See the head of this file. */
export class Concord {
  /** How often the server was started: what was read from one start may not hold in the next. */
  boot = 0;
  #server: ServerProcess | null = null;
  #serving: PromiseWithResolvers<void> = Promise.withResolvers();
  #open = false;
  readonly #env: Readonly<Record<string, string>>;

  private constructor(
    readonly port: number,
    env: Readonly<Record<string, string>>,
  ) {
    this.#env = { RATE_LIMITS: 'off', LOG_LEVEL: 'info', ...env, PORT: String(port) };
  }

  /** Starts a server and lets clients in. `env` needs DATABASE_URL and REDIS_URL. */
  static async start(env: Readonly<Record<string, string>>): Promise<Concord> {
    const concord = new Concord(await freePort(), env);
    await concord.startAgain();
    concord.letIn();
    return concord;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get ws_url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** The process that runs now. */
  get server(): ServerProcess {
    if (this.#server === null) throw new Error('the server does not run');
    return this.#server;
  }

  /** Whether clients are meant to find the server now. */
  get is_open(): boolean {
    return this.#open;
  }

  /** Resolves when clients are meant to find the server. */
  serving(): Promise<void> {
    return this.#serving.promise;
  }

  /** Kills the server in this very moment; resolves when it is gone. */
  async kill9(): Promise<void> {
    this.shutOut();
    const server = this.server;
    this.#server = null;
    await server.kill9();
  }

  /** SIGTERM; resolves with the exit code. */
  async terminate(): Promise<number> {
    this.shutOut();
    const server = this.server;
    this.#server = null;
    return await server.terminate();
  }

  /** Starts the server again; clients still wait for {@link letIn}. `env` overrides the settings of this start. */
  async startAgain(env: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#server = await startServer({ ...this.#env, ...env });
    this.boot += 1;
  }

  /** Lets clients in. */
  letIn(): void {
    this.#open = true;
    this.#serving.resolve();
  }

  /** Has a load balancer send nobody new to this server; whoever is connected stays. */
  shutOut(): void {
    if (this.#open) this.#serving = Promise.withResolvers();
    this.#open = false;
  }

  /** Whether the process runs. */
  get is_running(): boolean {
    return this.#server !== null;
  }

  /** Lines that the present server logged as errors. */
  errors(): string[] {
    return this.server
      .log()
      .filter(({ level }) => level === 'error' || level === 'fatal')
      .map((line) => JSON.stringify(line));
  }

  /** A REST call with a JSON body; rejects when it is not answered within `within_ms`. */
  async call(method: string, path: string, token?: string, body?: unknown, within_ms = 30_000): Promise<Answer> {
    const response = await fetch(this.url + path, {
      method,
      signal: AbortSignal.timeout(within_ms),
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  }

  /** Makes an account and signs in. Names are unique within a database. */
  async register(name: string): Promise<Person> {
    const email = `${name}@example.org`;
    const body = { email, password: 'open sesame, says the test', display_name: name };
    const data = await this.#data('POST', '/v1/auth/register', undefined, body);
    return { user_id: data.user.id, email, token: data.access_token };
  }

  /** Makes a document that all of `editors` may edit; returns its id. */
  async createDocument(owner: Person, editors: readonly Person[] = []): Promise<string> {
    const { id } = await this.#data('POST', '/v1/documents', owner.token, { title: 'Under load' });
    for (const { email } of editors)
      await this.#data('POST', `/v1/documents/${id}/permissions`, owner.token, { email, role: 'editor' });
    return id;
  }

  /** The text, an embed being U+FFFC, and its revision. */
  text(person: Person, doc_id: string): Promise<{ readonly rev: number; readonly value: string }> {
    return this.#data('GET', `/v1/documents/${doc_id}/content?format=text`, person.token);
  }

  /** The content as ops. */
  async ops(person: Person, doc_id: string): Promise<DeltaOps> {
    return (await this.#data('GET', `/v1/documents/${doc_id}/content?format=delta`, person.token)).value;
  }

  /** A sample of `/metrics` as the sum over its labels; 0 when there is none. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const samples = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))];
    return samples.reduce((sum, [, value]) => sum + Number(value), 0);
  }

  /** What a call answers; one that is asked to come again does, for a while, as any client would. */
  async #data(method: string, path: string, token?: string, body?: unknown) {
    const ask = (): Promise<Answer> => this.call(method, path, token, body);
    const served = async (): Promise<Answer | null> => {
      const answer = await ask();
      return answer.status === 503 ? null : answer;
    };
    const answer = method === 'GET' ? await until(`an answer to ${path}`, served) : await ask();
    if (answer.body.success !== true) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body.data;
  }
}
