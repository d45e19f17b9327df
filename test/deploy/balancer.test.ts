/**
 * docker-compose.yml as it runs, without containers: its commands, its environment, a real nginx with the very same
 * configuration, and clients that know only the balancer's address.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { locateNginx } from '../../bin/lib/nginx.ts';
import { ROOT } from '../../bin/lib/paths.ts';
import { freePort } from '../../bin/lib/ports.ts';
import { say } from '../../bin/lib/say.ts';
import { seededRandom } from '../../src/base/random.ts';
import { LIMITS, TIMES } from '../../src/protocol/limits.ts';
import type { Person } from '../faults/concord.ts';
import { readHistory } from '../faults/history.ts';
import { JsonClient } from '../faults/json-client.ts';
import { Ledger } from '../faults/ledger.ts';
import { YjsClient } from '../faults/yjs-client.ts';
import { runFolder, uniqueName } from '../support/environment.ts';
import { StockHocuspocus } from '../support/hocuspocus.ts';
import { until } from '../support/until.ts';
import { containerOf, imageEnvironment, readCompose, readDockerfile } from './compose.ts';
import { NODES, type NodeName, Stack, startBalancer } from './stack.ts';

const nginx = await locateNginx(false);
if (nginx.path === null) say(`the tests behind the load balancer are left out: ${nginx.why}.`);

const ID = '0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10';
const COLLABORATION = ['collaboration-1', 'collaboration-2'] as const;
const DOCUMENTS = 16;
/** Of an ordinary text: its line break takes two bytes in JSON. */
const LINE = 'sixty-four characters, as a text of many such lines would have.\n';
const configuration = readFileSync(join(ROOT, 'deploy/nginx.conf'), 'utf8');

/** Seconds of a directive of nginx.conf, the least where it stands more than once. */
function seconds(directive: string): number {
  const found = [...configuration.matchAll(new RegExp(`^\\s*${directive} (\\d+)s;`, 'gm'))];
  return Math.min(...found.map(([, value]) => Number(value)));
}

/** What deploy/balancer.sh writes, with a program in place of nginx that only ends. */
async function written(env: Readonly<Record<string, string>>): Promise<Readonly<Record<string, string>>> {
  const folder = runFolder(uniqueName('written'));
  const state = join(folder, 'state');
  mkdirSync(state);
  writeFileSync(join(folder, 'nginx'), '#!/bin/sh\nexit 0\n');
  chmodSync(join(folder, 'nginx'), 0o755);
  const addresses = { USERS: 'users:3000', DOCUMENTS: 'documents:3000', WORKER: 'worker:3000', LISTEN: '8080' };
  const child = Bun.spawn(['sh', join(ROOT, 'deploy/balancer.sh')], {
    env: {
      ...addresses,
      COLLABORATION: 'one:3000 two:3000',
      STATE: state,
      PATH: `${folder}:${process.env.PATH}`,
      ...env,
    },
  });
  expect(await child.exited).toBe(0);
  const servers = join(state, 'servers');
  return Object.fromEntries(readdirSync(servers).map((name) => [name, readFileSync(join(servers, name), 'utf8')]));
}

/** A POST from this address of the machine. */
function callFrom(
  address: string,
  port: number,
  path: string,
  sent: { readonly headers: Readonly<Record<string, string>>; readonly body: string },
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every shape
): Promise<{ readonly body: any }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', ...sent.headers };
    const where = { host: '127.0.0.1', port, path, method: 'POST', headers, localAddress: address };
    const call = request(where, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += String(chunk);
      });
      response.on('end', () => resolve({ body: JSON.parse(text) }));
    });
    call.on('error', reject);
    call.end(sent.body);
  });
}

test('the balancer asks a DNS server again and again where the nodes are, when it is told of one', async () => {
  const plain = await written({});
  expect(plain.collaboration).toBe(
    'server one:3000 max_fails=1 fail_timeout=2s;\nserver two:3000 max_fails=1 fail_timeout=2s;\n',
  );
  expect([plain.listen, plain.resolver]).toEqual(['listen 8080;\n', '']);
  const resolved = await written({ RESOLVER: '127.0.0.11' });
  expect(resolved.users).toBe('server users:3000 max_fails=1 fail_timeout=2s resolve;\n');
  expect(resolved.resolver).toBe('resolver 127.0.0.11 valid=5s ipv6=off;');
});

test.skipIf(nginx.path === null)(
  'of a proxy in front of it the balancer believes who the client is, and of nobody else',
  async () => {
    if (nginx.path === null) return;
    const echo = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: ({ headers }) =>
        Response.json([headers.get('x-forwarded-for')?.split(', ').at(-1), headers.get('x-forwarded-proto')]),
    });
    const here = `127.0.0.1:${echo.port}`;
    const port = await freePort();
    const balancer = startBalancer(nginx, {
      ...{ USERS: here, DOCUMENTS: here, COLLABORATION: here, WORKER: here, TRUSTED: '127.0.0.2 192.0.2.0/24' },
      LISTEN: `127.0.0.1:${port}`,
      STATE: runFolder(uniqueName('balancer')),
    });
    await until('it to answer', async () => (await fetch(`http://127.0.0.1:${port}/`)).ok);
    const headers = { 'x-forwarded-for': '198.51.100.7, 203.0.113.9', 'x-forwarded-proto': 'https' };
    const seen = async (from: string) => (await callFrom(from, port, '/', { headers, body: '{}' })).body;
    expect(await seen('127.0.0.2')).toEqual(['203.0.113.9', 'https']);
    expect(await seen('127.0.0.3')).toEqual(['127.0.0.3', 'http']);
    await balancer.stop();
    await echo.stop(true);
  },
);

test('the balancer waits longer for a silent socket than the server lets one be silent, and keeps idle connections for less', () => {
  expect(seconds('proxy_read_timeout') * 1000).toBeGreaterThan(3 * TIMES.keep_alive_ms);
  expect(seconds('proxy_send_timeout') * 1000).toBeGreaterThan(3 * TIMES.keep_alive_ms);
  const idle = /idleTimeout: (\d+)/.exec(readFileSync(join(ROOT, 'src/main.ts'), 'utf8'))?.[1];
  expect(seconds('keepalive_timeout')).toBeLessThan(Number(idle));
});

describe.skipIf(nginx.path === null)('behind the balancer', () => {
  let stack: Stack;
  let ada: Person;
  let ben: Person;

  beforeAll(async () => {
    if (nginx.path === null) return;
    stack = await Stack.start(nginx);
    [ada, ben] = [await stack.register('ada'), await stack.register('ben')];
  }, 60_000);

  afterAll(async () => {
    expect(await stack.stop()).toEqual(Object.fromEntries(NODES.map((name) => [name, 0])));
  }, 60_000);

  /** Open sockets of a door on each collaboration node. */
  const sockets = (door: string): Promise<number[]> =>
    Promise.all(COLLABORATION.map((name) => stack.metric(name, `concord_sockets{door="${door}"}`)));

  /** Two who type on a document of theirs through different doors, and the node that it is on. */
  const typists = async (seed: number) => {
    const ledger = new Ledger();
    const doc_id = await stack.createDocument(ada, [ben]);
    const parts = { concord: stack, ledger, random: seededRandom(seed), doc_id };
    const clients = [
      new JsonClient({ ...parts, person: ada, name: 'j' }),
      new YjsClient({ ...parts, person: ben, name: 'y' }),
    ];
    for (const client of clients) {
      client.typing = true;
      client.stay();
    }
    await ledger.after(100, 'acked');
    return { ledger, doc_id, clients, home: (await stack.ownerOf(doc_id)) ?? 'collaboration-1' };
  };

  /** A socket that only listens, once it is in; `closed` resolves to the code that it was closed with. */
  const reader = async (door: string, doc_id: string): Promise<{ readonly closed: Promise<number> }> => {
    const socket = new WebSocket(`${stack.ws_url}/v1/${door}/${doc_id}?token=${ada.token}`);
    const closed = new Promise<number>((resolve) => {
      socket.onclose = ({ code }) => resolve(code);
    });
    await new Promise((resolve) => {
      socket.onmessage = resolve;
    });
    return { closed };
  };

  test('Redis refuses rather than forgets, and writes down what it is told', async () => {
    const client = new Bun.RedisClient(stack.redis_url);
    const setting = async (name: string) => JSON.stringify(await client.send('CONFIG', ['GET', name]));
    expect(await setting('maxmemory-policy')).toContain('noeviction');
    expect(await setting('appendonly')).toContain('yes');
    client.close();
  });

  test('the secrets are made once, long and at random', () => {
    const jwt_secret = readFileSync(join(stack.secrets, 'jwt_secret'), 'utf8');
    expect(jwt_secret).toMatch(/^[0-9a-f]{64}$/);
    expect(statSync(join(stack.secrets, 'jwt_secret')).mode & 0o022).toBe(0);
  });

  test('every route of every service is found through the balancer', async () => {
    const { paths } = (await (await fetch(`${stack.url}/docs/json`)).json()) as { paths: object };
    const routes = Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => [method.toUpperCase(), path.replace(/\{[^}]+\}/g, ID)] as const),
    );
    expect(routes.length).toBeGreaterThan(40);
    for (const [method, path] of routes) {
      const response = await fetch(stack.url + path, { method, redirect: 'manual' });
      const text = await response.text();
      const is_found = response.status !== 405 && !text.includes('There is no such address');
      expect([method, path, is_found]).toEqual([method, path, true]);
    }
    for (const path of ['/', `/d/${ID}`, '/docs', '/admin', '/admin/queues', `/v1/collab/${ID}`, `/v1/yjs/${ID}`]) {
      const response = await fetch(stack.url + path, { redirect: 'manual' });
      expect([path, [200, 302, 303, 401, 426].includes(response.status)]).toEqual([path, true]);
    }
  });

  test('two clients of one document meet on one node, whatever they speak, and see an edit over REST', async () => {
    const homes = new Set<NodeName | null>();
    for (let i = 0; i < DOCUMENTS; i++) {
      const doc_id = await stack.createDocument(ada, [ben]);
      const parts = { concord: stack, ledger: new Ledger(), random: seededRandom(i), doc_id };
      const json = new JsonClient({ ...parts, person: ada, name: 'j' });
      const yjs = new YjsClient({ ...parts, person: ben, name: 'y' });
      await Promise.all([json.connect(), yjs.connect()]);
      await until('both to be in', () => json.is_ready && yjs.is_ready);
      const home = await stack.ownerOf(doc_id);
      const there = COLLABORATION.map((name) => (name === home ? 1 : 0));
      expect([await sockets('json'), await sockets('yjs')]).toEqual([there, there]);
      homes.add(home);

      json.type();
      yjs.type();
      await until('both to have both edits', () => json.text === yjs.text && json.text.includes('<y.1>'));
      const changes = { delta: [{ insert: 'over REST ' }] };
      await stack.data('POST', `/v1/documents/${doc_id}/edits`, ben.token, { changes });
      await until('both to see it', () => json.text === yjs.text && json.text.startsWith('over REST '));
      expect((await stack.text(ada, doc_id)).value).toBe(json.text);
      for (const client of [json, yjs]) client.leave();
      await until('both to be gone', async () =>
        [...(await sockets('json')), ...(await sockets('yjs'))].every((n) => n === 0),
      );
    }
    expect([...homes].sort()).toEqual([...COLLABORATION]);
  }, 60_000);

  test('clients whose sockets tell the balancer nothing of their document meet, wherever they land', async () => {
    const doc_id = await stack.createDocument(ada, [ben]);
    const clients: StockHocuspocus[] = [];
    await until('a client on each node', async () => {
      const client = new StockHocuspocus(stack, doc_id, clients.length % 2 === 0 ? ada : ben);
      clients.push(client);
      await client.synced();
      return (await sockets('hocuspocus')).every((count) => count > 0);
    });
    for (const { text } of clients) text.insert(0, 'x');
    const all = 'x'.repeat(clients.length);
    for (const client of clients) await client.reads(all);
    expect((await stack.text(ada, doc_id)).value).toBe(all);
    for (const client of clients) client.destroy();
  });

  test('the health checks of containers say what is true', async () => {
    const { PORT: _, ...environment } = imageEnvironment();
    const [, of_image = ''] =
      /CMD (\[.*\])$/.exec(readDockerfile().find(({ name }) => name === 'HEALTHCHECK')?.rest ?? '') ?? [];
    const of_container = containerOf(readCompose(), 'users').healthcheck?.test?.slice(1) ?? [];
    const check = async (command: readonly string[], port: number): Promise<number> => {
      const here = command.map((word) => word.replace('127.0.0.1:3000', `127.0.0.1:${port}`));
      const env = { ...environment, PORT: String(port), PATH: `${stack.folder}:${process.env.PATH}` };
      return await Bun.spawn([...here], { env, stderr: 'ignore' }).exited;
    };
    for (const command of [JSON.parse(of_image) as string[], of_container]) {
      expect(await check(command, stack.node('users').port)).toBe(0);
      expect(await check(command, await freePort())).not.toBe(0);
    }
  });

  test('a page that came through the balancer may open sockets, and one of another site may not', async () => {
    const doc_id = await stack.createDocument(ada);
    const codeOf = (origin: string): Promise<number> =>
      new Promise((resolve) => {
        const socket = new WebSocket(`${stack.ws_url}/v1/yjs/${doc_id}?token=${ada.token}`, {
          headers: { origin },
        } as never);
        socket.onmessage = () => socket.close(1000);
        socket.onclose = ({ code }) => resolve(code);
      });
    expect(await codeOf(stack.url)).toBe(1000);
    expect(await codeOf('https://elsewhere.example')).toBe(4403);
  });

  test('kill -9 of the node that a document is on: its clients come back through the other, and nothing acknowledged is lost', async () => {
    const { ledger, doc_id, clients, home: killed } = await typists(7);
    await stack.node(killed).kill9();

    const since = performance.now();
    await until('edits to be acknowledged again', () => ledger.flowsSince(doc_id, since), 20_000);
    const now = await stack.ownerOf(doc_id);
    expect([now, COLLABORATION.some((name) => name === now)]).toEqual([now, true]);
    expect(now).not.toBe(killed);
    for (const client of clients) client.typing = false;
    await until('everything to be acknowledged', () => clients.every((one) => one.is_ready && one.is_settled), 20_000);
    const { value } = await stack.text(ada, doc_id);
    expect(clients.map(({ text }) => text)).toEqual([value, value]);
    expect([...ledger.wrongs(doc_id, value, true), ...ledger.faults]).toEqual([]);
    expect((await readHistory(stack.database.sql, doc_id)).wrongs).toEqual([]);
    for (const client of clients) client.leave();
    await stack.startNode(killed);
  }, 90_000);

  test('SIGTERM of a node: exit 0, its clients are sent to the other, and nothing is lost', async () => {
    const { ledger, doc_id, clients, home: left } = await typists(8);
    const goodbyes = await Promise.all(['collab', 'yjs'].map((door) => reader(door, doc_id)));
    expect(await stack.node(left).terminate()).toBe(0);
    expect(await Promise.all(goodbyes.map(({ closed }) => closed))).toEqual([1012, 1012]);
    const since = performance.now();
    await until('edits to be acknowledged again', () => ledger.flowsSince(doc_id, since), 20_000);
    expect(await stack.ownerOf(doc_id)).not.toBe(left);
    for (const client of clients) client.typing = false;
    await until('everything to be acknowledged', () => clients.every((one) => one.is_ready && one.is_settled), 20_000);
    const { value } = await stack.text(ada, doc_id);
    // An edit that meets its document on the way out is refused, kept, and sent again after the 1012 that follows.
    const faults = ledger.faults.filter((fault) => !fault.includes('UNAVAILABLE'));
    expect([...ledger.wrongs(doc_id, value, true), ...faults]).toEqual([]);
    for (const client of clients) client.leave();
    await stack.startNode(left);
  }, 90_000);

  test('the address that the balancer saw is the one that is believed, whatever the caller claims', async () => {
    const { body } = await callFrom('127.0.0.2', stack.port, '/v1/auth/login', {
      headers: { 'x-forwarded-for': '203.0.113.9, 198.51.100.7' },
      body: JSON.stringify({ email: ada.email, password: 'open sesame, says the test' }),
    });
    const { items } = await stack.data('GET', '/v1/auth/sessions', body.data.access_token);
    const current = items.find((session: { current: boolean }) => session.current);
    expect(current.ip).toBe('127.0.0.2');
  });

  test('a document is created with 16 MiB of content; what is larger is refused in the words of the server', async () => {
    const create = (bytes: number): Promise<Response> => {
      const value = LINE.repeat(bytes / LINE.length);
      return fetch(`${stack.url}/v1/documents`, {
        method: 'POST',
        headers: { authorization: `Bearer ${ada.token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ title: 'Large', content: { format: 'text', value } }),
      });
    };
    const made = await create(LIMITS.create_body_bytes_max * 0.9);
    expect([made.status, (await made.json()).success]).toEqual([201, true]);
    const refused = await create(LIMITS.create_body_bytes_max * 1.5);
    expect([refused.status, (await refused.json()).error.code]).toEqual([413, 'PAYLOAD_TOO_LARGE']);
    // Not even passed on: the balancer speaks for the server.
    const beyond = await fetch(`${stack.url}/v1/documents`, { method: 'POST', body: new Uint8Array(41 * 1024 * 1024) });
    expect([beyond.status, (await beyond.json()).error.code]).toEqual([413, 'PAYLOAD_TOO_LARGE']);
    expect(beyond.headers.get('x-request-id')).not.toBeNull();
  }, 60_000);

  test('while no node of a service answers, the balancer says so in the words of the server', async () => {
    await stack.node('worker').kill9();
    const response = await fetch(`${stack.url}/admin/queues`);
    expect(response.status).toBe(503);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await response.json()).error.code).toBe('UNAVAILABLE');
    expect((await fetch(`${stack.url}/healthz`)).status).toBe(200);
    await stack.startNode('worker');
  });
});
