/**
 * docker-compose.yml without containers: its very commands, with its very environment, as plain processes behind a real
 * nginx. What differs is where things are: names of containers become addresses of this machine, folders of containers
 * become folders of the test run. The PostgreSQL is the test run's; the Redis is started as its container is.
 */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Program } from '../../bin/lib/apt.ts';
import { makePassable, ROOT } from '../../bin/lib/paths.ts';
import { freePort } from '../../bin/lib/ports.ts';
import { type Daemon, startDaemon } from '../../bin/lib/processes.ts';
import type { Answer, Person } from '../faults/concord.ts';
import type { Entrance } from '../faults/entrance.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { recordsFolder, redisInstall, runFolder, uniqueName } from '../support/environment.ts';
import { type ServerProcess, startServer } from '../support/processes.ts';
import { until } from '../support/until.ts';
import { type Compose, containerOf, imageEnvironment, mountedFile, readCompose } from './compose.ts';

/** Those that run the server. */
export const NODES = ['users', 'documents', 'collaboration-1', 'collaboration-2', 'worker'] as const;

/** One of {@link NODES}. */
export type NodeName = (typeof NODES)[number];

const CALL_MS_MAX = 30_000;
const CONTAINER_PORT = 3000;

/** See the head of this file. */
export class Stack implements Entrance {
  readonly boot = 1;
  readonly is_open = true;
  readonly #nodes = new Map<NodeName, ServerProcess>();
  readonly #compose: Compose = readCompose();
  /** What stands in the file → what stands for it here, longest first. */
  readonly #places: (readonly [string, string])[] = [];
  readonly #ports = new Map<NodeName, number>();
  #redis: Daemon | null = null;
  #balancer: Daemon | null = null;

  private constructor(
    readonly database: TestDatabase,
    readonly folder: string,
    readonly port: number,
  ) {}

  /** Starts everything, in the order that `depends_on` asks for; resolves when the balancer answers. */
  static async start(nginx: Program): Promise<Stack> {
    const stack = new Stack(await createTestDatabase(), runFolder(uniqueName('stack')), await freePort());
    try {
      await stack.#settle();
      await stack.#makeSecrets();
      await stack.#startRedis();
      for (const name of NODES) await stack.startNode(name);
      await stack.#startBalancer(nginx);
    } catch (error) {
      await stack.stop();
      throw error;
    }
    return stack;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get ws_url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  get secrets(): string {
    return join(this.folder, 'secrets');
  }

  get redis_url(): string {
    return `redis://${this.#place('redis:6379')}`;
  }

  async serving(): Promise<void> {}

  /** A node that runs. */
  node(name: NodeName): ServerProcess {
    const found = this.#nodes.get(name);
    if (found === undefined) throw new Error(`${name} does not run`);
    return found;
  }

  /** Starts a node, as for the first time or again: on the same port, under the same name. */
  async startNode(name: NodeName): Promise<void> {
    const { command = [], environment = {} } = containerOf(this.#compose, name);
    const settings = { ...imageEnvironment(), ...this.#environment(environment) };
    const port = String(this.#ports.get(name));
    const PATH = `${this.folder}:${process.env.PATH}`;
    this.#nodes.set(name, await startServer({ ...settings, HOST: '127.0.0.1', PORT: port, PATH }, command));
  }

  /** A sample of a node's `/metrics`, the one with these labels. */
  async metric(name: NodeName, sample: string): Promise<number> {
    const text = await (await fetch(`${this.node(name).url}/metrics`)).text();
    const line = text.split('\n').find((found) => found.startsWith(`${sample} `));
    return line === undefined ? 0 : Number(line.slice(sample.length));
  }

  /** A REST call with a JSON body, through the balancer. */
  async call(method: string, path: string, token?: string, body?: unknown): Promise<Answer> {
    const response = await fetch(this.url + path, {
      method,
      signal: AbortSignal.timeout(CALL_MS_MAX),
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() };
  }

  /** The `data` of a call that must succeed. */
  async data(method: string, path: string, token?: string, body?: unknown) {
    const answer = await this.call(method, path, token, body);
    if (answer.body.success !== true) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body.data;
  }

  /** Makes an account and signs in. */
  async register(name: string): Promise<Person> {
    const email = `${name}@example.org`;
    const body = { email, password: 'open sesame, says the test', display_name: name };
    const { user, access_token } = await this.data('POST', '/v1/auth/register', undefined, body);
    return { user_id: user.id, email, token: access_token };
  }

  /** Makes a document that all of `editors` may edit; returns its id. */
  async createDocument(owner: Person, editors: readonly Person[] = []): Promise<string> {
    const { id } = await this.data('POST', '/v1/documents', owner.token, { title: 'Balanced' });
    for (const { email } of editors)
      await this.data('POST', `/v1/documents/${id}/permissions`, owner.token, { email, role: 'editor' });
    return id;
  }

  text(person: Person, doc_id: string): Promise<{ readonly rev: number; readonly value: string }> {
    return this.data('GET', `/v1/documents/${doc_id}/content?format=text`, person.token);
  }

  /** The node that holds the document now. */
  async ownerOf(doc_id: string): Promise<NodeName | null> {
    const [head] = await this.database.sql<{ owner_node: NodeName | null }[]>`
      SELECT owner_node FROM document_heads WHERE doc_id = ${doc_id}`;
    return head?.owner_node ?? null;
  }

  /** Ends everything; returns the exit codes of the nodes. */
  async stop(): Promise<Readonly<Record<string, number>>> {
    const codes = [...this.#nodes].map(async ([name, node]) => [name, await node.terminate()] as const);
    const ended = Object.fromEntries(await Promise.all(codes));
    await Promise.all([this.#balancer?.stop(), this.#redis?.stop()]);
    await this.database.drop();
    return ended;
  }

  /** Decides where everything is. */
  async #settle(): Promise<void> {
    const { host, pathname } = new URL(this.database.url);
    // The image has Bun under this name, which a Bun that npm installed has not.
    symlinkSync(process.execPath, join(this.folder, 'bun'));
    for (const name of NODES) this.#ports.set(name, await freePort());
    this.#places.push(
      ['postgres:5432/concord', `${host}${pathname}`],
      ['redis:6379', `127.0.0.1:${await freePort()}`],
      ['/secrets', this.secrets],
      ...NODES.map((name) => [`${name}:${CONTAINER_PORT}`, `127.0.0.1:${this.#ports.get(name)}`] as const),
    );
  }

  #place(name: string): string {
    return this.#places.find(([found]) => found === name)?.[1] ?? name;
  }

  #environment(environment: Readonly<Record<string, string>>): Record<string, string> {
    const here = (value: string): string =>
      this.#places.reduce((text, [there, place]) => text.replaceAll(there, place), value);
    return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, here(String(value))]));
  }

  async #makeSecrets(): Promise<void> {
    const { command = [], environment = {} } = containerOf(this.#compose, 'secrets');
    makePassable(this.secrets);
    const seen = new Set<string>();
    // Twice, as at a second start: what is there stays.
    for (let run = 0; run < 2; run++) {
      const child = Bun.spawn([...command], { cwd: ROOT, env: { ...process.env, ...this.#environment(environment) } });
      if ((await child.exited) !== 0) throw new Error('the secrets could not be made');
      seen.add(readFileSync(join(this.secrets, 'jwt_secret'), 'utf8'));
    }
    if (seen.size !== 1) throw new Error('a second start made other secrets');
    // PostgreSQL's container would take the password that was made; this PostgreSQL has one already.
    writeFileSync(join(this.secrets, 'postgres_password'), new URL(this.database.url).password);
  }

  async #startRedis(): Promise<void> {
    const [, ...options] = containerOf(this.#compose, 'redis').command ?? [];
    const { server, libraries } = await redisInstall();
    const port = this.#place('redis:6379').split(':')[1] ?? '';
    const data = join(this.folder, 'redis');
    mkdirSync(data);
    this.#redis = startDaemon({
      name: uniqueName('stack-redis'),
      cmd: [server, ...options, '--bind', '127.0.0.1', '--port', port, '--dir', data],
      cwd: data,
      env: { PATH: process.env.PATH, LD_LIBRARY_PATH: libraries || undefined },
      log: join(this.folder, 'redis.log'),
      records: recordsFolder(),
      stopSignal: 'SIGTERM',
      graceMs: 10_000,
    });
    const client = new Bun.RedisClient(this.redis_url);
    await until('Redis to answer', () => client.send('PING', []));
    client.close();
  }

  async #startBalancer(nginx: Program): Promise<void> {
    const container = containerOf(this.#compose, 'balancer');
    // Without a DNS server to ask: what it would be asked for are addresses here.
    const { RESOLVER, ...environment } = container.environment ?? {};
    this.#balancer = startBalancer(nginx, {
      ...this.#environment(environment),
      LISTEN: `127.0.0.1:${this.port}`,
      STATE: join(this.folder, 'balancer'),
    });
    await until('the balancer to answer', async () => (await fetch(`${this.url}/healthz`)).ok);
  }
}

/** Starts the command of the balancer's container. The environment is that of deploy/balancer.sh. */
export function startBalancer(
  nginx: Program,
  env: Readonly<Record<string, string>> & { readonly STATE: string },
): Daemon {
  const container = containerOf(readCompose(), 'balancer');
  makePassable(env.STATE);
  return startDaemon({
    name: uniqueName('balancer'),
    cmd: (container.entrypoint ?? []).map((word) => mountedFile(container, word)),
    cwd: '/',
    env: { PATH: `${dirname(nginx.path)}:${process.env.PATH}`, LD_LIBRARY_PATH: nginx.libraries || undefined, ...env },
    log: `${env.STATE}.log`,
    records: recordsFolder(),
    stopSignal: 'SIGQUIT',
    graceMs: 15_000,
  });
}
