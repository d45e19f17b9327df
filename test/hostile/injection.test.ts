/** Text that means something to a database, a cache, a log, a header or a prototype: everywhere it is text and nothing else. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Redis } from 'ioredis';
import { JsonClient } from '../support/sockets.ts';
import { type Callers, openCallers } from './callers.ts';
import { NASTY_STRINGS } from './mutate.ts';
import { speak } from './raw-http.ts';

let callers: Callers;

beforeAll(async () => {
  callers = await openCallers({ LOG_LEVEL: 'debug' });
});
afterAll(async () => {
  expect(callers.server.errors()).toEqual([]);
  await callers.server.stop();
});

/** Statements and their pieces, for every kind of quote. */
const SQL: readonly string[] = [
  "'; DROP TABLE documents; --",
  "' OR '1'='1",
  '" OR ""="',
  "') UNION SELECT password_hash FROM users --",
  '$1',
  '\\',
  "E'\\000'",
  '%',
  '_',
  "a' AND pg_sleep(5) --",
  '1; COPY users TO PROGRAM $$id$$',
  '<->',
  '!!&|()',
  '"unclosed',
  '-- ',
  '/*',
  ':*',
  '\\x00',
  '\u0100'.repeat(499),
];

const WORDS: readonly string[] = [...new Set([...SQL, ...NASTY_STRINGS])];

/** A few at a time, since most of each is waiting. */
async function eachOf<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const pending = [...items];
  const next = async (): Promise<void> => {
    for (let item = pending.shift(); item !== undefined; item = pending.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: 6 }, next));
}

const is_storable = (text: string): boolean => text.isWellFormed() && !text.includes('\0');

describe('text that a user may choose', () => {
  test('comes back as it was sent, or is refused by its name, and nothing else changes', async () => {
    const { server, by_name } = callers;
    const { owner } = by_name;
    const call = (method: string, path: string, body?: unknown) => server.call(method, path, owner.token, body);
    const doc_id = await callers.sharedDocument();
    const at = `/v1/documents/${doc_id}`;
    await eachOf(WORDS, async (word) => {
      const is_good = (max: number) => is_storable(word) && [...word].length <= max && word.trim() !== '';
      const [titled, named, called] = [
        await call('PATCH', at, { title: word }),
        await call('POST', `${at}/versions`, { name: word }),
        await call('PATCH', '/v1/users/me', { display_name: word }),
      ];
      expect([word, titled.status, titled.body.data?.title ?? null]).toEqual(
        is_good(255) ? [word, 200, word] : [word, 422, null],
      );
      expect([word, named.status]).toEqual([word, is_good(255) ? 201 : 422]);
      expect([word, called.status === 200]).toEqual([word, called.body.data?.display_name === word]);
      for (const [path, field] of [
        [`/v1/documents?q=${encodeURIComponent(word.toWellFormed())}`, '/q'],
        [`${at}/versions?cursor=${encodeURIComponent(word.toWellFormed())}`, '/cursor'],
        [`/v1/documents?cursor=${Buffer.from(word).toString('base64url')}`, '/cursor'],
      ] as const) {
        const found = await call('GET', path);
        // Of a head that is too large the runtime itself says so, without a body.
        if (found.status !== 200 && found.status !== 431)
          expect([word, found.body.error.details[0].path]).toEqual([word, field]);
      }
    });
    await call('PATCH', '/v1/users/me', { display_name: owner.display_name });
    const [counts] =
      await server.sql`SELECT (SELECT count(*) FROM users)::int AS users, (SELECT count(*) FROM documents)::int AS documents`;
    expect(counts).toEqual({ users: 8, documents: 1 });
  }, 120_000);

  test('a search for a piece of SQL finds what is called so, and no more', async () => {
    const { server, by_name } = callers;
    const { editor } = by_name;
    await server.call('POST', '/v1/documents', editor.token, { title: 'harmless' });
    for (const word of SQL) {
      const { status, body } = await server.call(
        'GET',
        `/v1/documents?q=${encodeURIComponent(`${word} zebra`)}`,
        editor.token,
      );
      if (status === 200) expect([word, body.data.items]).toEqual([word, []]);
      else expect(status).toBe(422);
    }
  });

  test('e-mails and passwords are looked up as they are', async () => {
    const { server } = callers;
    await eachOf(WORDS, async (word) => {
      const answer = await server.call('POST', '/v1/auth/login', undefined, { email: word, password: 'x' });
      expect(answer.status).toBeOneOf([401, 422]);
      const refreshed = await server.call('POST', '/v1/auth/refresh', undefined, { refresh_token: word });
      expect(refreshed.status).toBeOneOf([401, 422]);
      const registered = await server.call('POST', '/v1/auth/register', undefined, {
        email: `${word}@example.org`,
        password: 'open sesame, says the test',
        display_name: 'x',
      });
      if (registered.status === 201) expect(registered.body.data.user.email).toBe(`${word}@example.org`);
    });
  }, 120_000);
});

test('ids of every kind are UUIDs before they become the name of a key, a channel or a row', async () => {
  const { server, by_name } = callers;
  const { owner } = by_name;
  const redis = new Redis(server.redis_url);
  const doc_id = await callers.sharedDocument();
  const odd = [
    '*',
    'x y',
    'a\r\nFLUSHALL',
    '{tag}',
    '[a-z]',
    'session:x',
    '../..',
    '\u0000',
    'é',
    `${doc_id}\n`,
    'null',
  ];
  for (const id of odd) {
    const name = encodeURIComponent(id);
    for (const path of [
      `/v1/documents/${name}`,
      `/v1/documents/${name}/presence`,
      `/v1/users/${name}`,
      `/v1/documents/${doc_id}/versions/${name}`,
    ])
      expect([path, (await server.call('GET', path, owner.token)).status]).toEqual([path, 422]);
    const edit = { changes: { delta: [{ insert: 'x' }] }, client_id: id, seq: 1 };
    expect((await server.call('POST', `/v1/documents/${doc_id}/edits`, owner.token, edit)).status).toBe(422);
    const client = JsonClient.open(server, doc_id, owner, { query: { client_id: id } });
    expect((await client.closed).code).toBe(4400);
    await server.call('GET', '/healthz', undefined);
    await fetch(`${server.url}/healthz`, { headers: { 'x-request-id': encodeURIComponent(id) } });
  }
  const client = await JsonClient.join(server, doc_id, owner);
  await client.edit([{ insert: 'x' }]);
  await client.leave();
  const keys = await redis.keys('*');
  redis.disconnect();
  expect(keys.length).toBeGreaterThan(0);
  expect(keys.filter((key) => !/^[\w:{}@.-]+$/.test(key))).toEqual([]);
});

describe('the log', () => {
  const colour = '\u001b[31mfake\u001b[0m';
  const record = '"}\n{"level":"fatal","message":"forged"}';

  test('has one line of JSON for each record, in which nothing of a caller is markup', async () => {
    const { server, by_name } = callers;
    const { owner } = by_name;
    for (const word of [colour, record, ...NASTY_STRINGS]) {
      const path = encodeURIComponent(word.toWellFormed());
      await server.call('GET', `/v1/${path}`, owner.token);
      await server.call('GET', `/v1/documents/${path}?${path}=${path}`, owner.token);
      await server.call('PATCH', '/v1/users/me', owner.token, { display_name: word });
      await server.call('POST', '/v1/documents', owner.token, { title: word });
      await JsonClient.open(server, path, owner, { query: { client_id: word.toWellFormed() } }).closed;
    }
    for (const line of [
      `User-Agent: ${colour}`,
      `User-Agent: \u0007\u0008`,
      `X-Request-Id: ${colour}`,
      `Referer: ${record.replace('\n', ' ')}`,
    ])
      await speak(server.url, ['GET /v1/users/me HTTP/1.1', 'Host: x', `Authorization: Bearer ${owner.token}`, line]);
    await speak(server.url, [`GET /\u001b[31m HTTP/1.1`, 'Host: x']);
    expect(server.logged().length).toBeGreaterThan(50);
    for (const line of server.logged()) {
      expect(line.indexOf('\n')).toBe(line.length - 1);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      expect(line).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f\u009b]/);
      expect(JSON.parse(line)).toMatchObject({ service: 'test' });
    }
    expect(server.logged().filter((line) => JSON.parse(line).message === 'forged')).toEqual([]);
  });
});

describe('prototypes', () => {
  const POLLUTED: readonly string[] = [
    '{"__proto__":{"polluted":1}}',
    '{"constructor":{"prototype":{"polluted":1}}}',
    '{"title":"x","__proto__":{"polluted":1}}',
    '{"title":"x","constructor":{"prototype":{"polluted":1}}}',
    '{"changes":{"delta":[{"insert":"x","attributes":{"__proto__":{"polluted":1}}}]}}',
    '{"changes":{"delta":[{"insert":"x","attributes":{"constructor":{"prototype":{"polluted":1}}}}]}}',
    '{"changes":{"delta":[{"insert":{"__proto__":{"polluted":1}}}]}}',
    '{"changes":{"delta":[{"insert":{"constructor":{"polluted":1}}}]}}',
    '{"changes":{"delta":[{"retain":1,"attributes":{"__proto__":null}}]}}',
    '{"changes":{"delta":[{"__proto__":{"insert":"x"}}]}}',
    '{"changes":{"__proto__":{"delta":[{"insert":"x"}]}}}',
    '{"title":"x","content":{"format":"delta","value":[{"insert":"x","attributes":{"__proto__":{"polluted":1},"toString":1}}]}}',
    '{"title":"x","content":{"format":"delta","value":[{"insert":{"__proto__":"x"}},{"insert":{"hasOwnProperty":1}}]}}',
  ];
  const clean = (): void => {
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(([] as { polluted?: unknown }).polluted).toBeUndefined();
  };

  test('are reached by no body, attribute or embed, and no output stumbles over them', async () => {
    const { server, by_name } = callers;
    const { owner } = by_name;
    const headers = { authorization: `Bearer ${owner.token}`, 'content-type': 'application/json' };
    for (const body of POLLUTED) {
      const doc_id = await callers.sharedDocument();
      for (const path of ['/v1/documents', `/v1/documents/${doc_id}/edits`]) {
        const response = await fetch(server.url + path, { method: 'POST', headers, body });
        const said = (await response.json()) as { data?: { id?: string } };
        expect([body, [200, 201, 422].includes(response.status)]).toEqual([body, true]);
        const id = said.data?.id ?? doc_id;
        for (const format of ['delta', 'text', 'html', 'markdown', 'yjs'])
          expect((await server.call('GET', `/v1/documents/${id}/content?format=${format}`, owner.token)).status).toBe(
            200,
          );
      }
      clean();
    }
  });

  test('are reached by no message of the JSON door, presence included', async () => {
    const { server, by_name } = callers;
    const doc_id = await callers.sharedDocument();
    const client = await JsonClient.join(server, doc_id, by_name.editor);
    const witness = await JsonClient.join(server, doc_id, by_name.owner);
    for (const body of POLLUTED) {
      client.sendRaw(body);
      client.sendRaw(`{"type":"presence","status":"active","state":${body}}`);
      client.sendRaw(`{"type":"edit","seq":1,${body.slice(1)}`);
      client.sendRaw(`{"type":"__proto__"}`);
      client.sendRaw(`{"__proto__":{"type":"ping"}}`);
    }
    await client.ping();
    client.send({ type: 'presence', status: 'active', state: { done: true } });
    await witness.take('presence', ({ state }) => state.done === true);
    const { body } = await server.call('GET', `/v1/documents/${doc_id}/presence`, by_name.owner.token);
    expect(body.data.items).toHaveLength(2);
    clean();
    await Promise.all([client.leave(), witness.leave()]);
  });
});
