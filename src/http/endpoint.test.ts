import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { connect } from 'node:net';
import { Elysia } from 'elysia';
import Type from 'typebox';
import { ManualClock } from '../base/clock.ts';
import { createLog } from '../base/log.ts';
import { systemRandom } from '../base/random.ts';
import type { AuthResult } from '../domain/tokens.ts';
import { ConcordError } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';
import { type EndpointServices, endpoint, reply } from './endpoint.ts';
import { openExchange } from './request.ts';
import { idParams, oneOf, PAGE_FIELDS, readPage, strictObject, text, uuid } from './schemas.ts';

const ID = '0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10';
const USER = '0198c5c2-7a3e-7d51-9b0a-000000000001';
const ADMIN = '0198c5c2-7a3e-7d51-9b0a-000000000002';

const lines: Record<string, unknown>[] = [];
const reported: { error: unknown; context: Readonly<Record<string, string>> }[] = [];

const callerOf = (user_id: string): AuthResult => ({
  ok: true,
  caller: { user_id, session_id: ID, role: 'user', expires_at: 0 },
});
const TOKENS: Readonly<Record<string, AuthResult>> = {
  user: callerOf(USER),
  admin: callerOf(ADMIN),
  expired: { ok: false, code: 'TOKEN_EXPIRED' },
  revoked: { ok: false, code: 'TOKEN_REVOKED' },
};

const services: EndpointServices = {
  authenticate: async (token) => TOKENS[token] ?? { ok: false, code: 'UNAUTHENTICATED' },
  isAdmin: async (user_id) => user_id === ADMIN,
  reporter: { report: (error, context) => void reported.push({ error, context }), close: async () => {} },
};

const THING = strictObject({
  title: text(1, 5, 'Title', 'x'),
  count: Type.Optional(Type.Integer({ minimum: 1, maximum: 9 })),
  kind: Type.Optional(oneOf(['red', 'blue'], 'Colour')),
  parent: Type.Optional(Type.Union([uuid(), Type.Null()])),
  tags: Type.Optional(Type.Array(strictObject({ name: Type.String() }))),
});

const app: Elysia = new Elysia({ handler: { standardHostname: false } });
const common = { tag: 't', summary: 's', description: 'd', status: 200, errors: [] } as const;
const PLACE = strictObject({
  id: Type.String(),
  limit: Type.Integer(),
  after: Type.Union([Type.String(), Type.Null()]),
});

endpoint(app, services, {
  ...common,
  method: 'POST',
  path: '/things',
  auth: 'none',
  body: THING,
  data: THING,
  example: { title: 'x' },
  handle: async ({ body }) => body,
});
endpoint(app, services, {
  ...common,
  method: 'POST',
  path: '/small',
  auth: 'user',
  body: strictObject({ text: Type.String() }),
  body_bytes_max: 64,
  status: 201,
  other_status: 200,
  data: strictObject({ length: Type.Integer() }),
  example: { length: 1 },
  handle: async ({ body }) => (body.text === '' ? reply(200, { length: 0 }) : { length: body.text.length }),
});
endpoint(app, services, {
  ...common,
  method: 'GET',
  path: '/things/:id',
  auth: 'none',
  params: idParams('id'),
  query: strictObject(PAGE_FIELDS),
  data: PLACE,
  example: { id: ID, limit: 20, after: null },
  handle: async ({ params, query }) => ({ id: params.id, ...readPage(query, (key) => key.startsWith('k')) }),
});
for (const auth of ['user', 'admin'] as const)
  endpoint(app, services, {
    ...common,
    method: 'DELETE',
    path: `/${auth}`,
    auth,
    data: Type.String(),
    example: 'x',
    handle: async ({ caller }) => caller.user_id,
  });
const THROWN: Readonly<Record<string, unknown>> = {
  bug: new TypeError('secret internals'),
  text: 'not even an error',
  internal: new ConcordError('INTERNAL', 'secret internals'),
  away: Object.assign(new Error('no route to 10.0.0.7'), { code: 'ECONNREFUSED' }),
  busy: new ConcordError('RATE_LIMITED', undefined, undefined, 7),
  taken: new ConcordError('EMAIL_TAKEN'),
};
endpoint(app, services, {
  ...common,
  method: 'GET',
  path: '/throws',
  auth: 'none',
  query: strictObject({ what: Type.String() }),
  data: Type.Null(),
  example: null,
  handle: async ({ query }) => {
    throw THROWN[query.what];
  },
});

const clock = new ManualClock();
const log = createLog({
  level: 'info',
  service: 'test',
  node_id: 'test',
  destination: { write: (line: string) => void lines.push(JSON.parse(line)) },
});
let server: ReturnType<typeof Bun.serve>;
beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    maxRequestBodySize: 64 * 1024 * 1024,
    fetch(request) {
      openExchange(request, { clock, random: systemRandom, log, trust_proxy: false });
      return app.handle(request);
    },
  });
});
afterAll(() => server.stop(true));

// biome-ignore lint/suspicious/noExplicitAny: bodies of every shape
async function send(method: string, path: string, init: RequestInit = {}): Promise<{ response: Response; body: any }> {
  const response = await fetch(server.url.origin + path, { method, ...init });
  return { response, body: await response.json() };
}

const json = (body: string | Uint8Array, headers: Record<string, string> = {}): RequestInit => ({
  body: body as BodyInit,
  headers: { 'content-type': 'application/json', ...headers },
});

/** The issues that a body of `POST /things` meets. */
async function issues(body: string): Promise<{ path: string; message: string }[]> {
  const { response, body: answer } = await send('POST', '/things', json(body));
  expect(response.status).toBe(422);
  expect(answer.error.code).toBe('VALIDATION_ERROR');
  return answer.error.details;
}

describe('a body', () => {
  test('arrives as it was sent', async () => {
    const thing = { title: 'a😀b', count: 9, kind: 'blue', parent: null, tags: [{ name: '' }] };
    const { response, body } = await send('POST', '/things', json(JSON.stringify(thing)));
    expect(response.status).toBe(200);
    expect(body).toEqual({ success: true, data: thing });
  });

  test('must be application/json, with a charset of UTF-8 if any', async () => {
    for (const type of ['application/json', 'application/json; charset=utf-8', 'Application/JSON;charset="UTF-8"'])
      expect((await send('POST', '/things', json('{"title":"x"}', { 'content-type': type }))).response.status).toBe(
        200,
      );
    for (const type of [
      'text/plain',
      'application/json; charset=latin1',
      'application/jsonp',
      'application/x-www-form-urlencoded',
    ]) {
      const { response, body } = await send('POST', '/things', json('{"title":"x"}', { 'content-type': type }));
      expect(response.status).toBe(415);
      expect(body.error.code).toBe('UNSUPPORTED_MEDIA_TYPE');
    }
    expect((await send('POST', '/things')).response.status).toBe(415);
    const packed = json(Bun.gzipSync(Buffer.from('{"title":"x"}')), { 'content-encoding': 'gzip' });
    expect((await send('POST', '/things', packed)).response.status).toBe(415);
  });

  test('that is not JSON is refused, whatever is wrong with it', async () => {
    expect(await issues('')).toEqual([{ path: '', message: 'the body is empty; JSON is expected' }]);
    for (const broken of ['{', '{"title":"x"}}', "{'title':1}", '{"title":"x",}', 'NaN', '{"title":"\u0001"}'])
      expect(await issues(broken)).toEqual([{ path: '', message: 'the body is not JSON' }]);
    const { body } = await send('POST', '/things', json(Uint8Array.from([0x22, 0xff, 0x22])));
    expect(body.error.details).toEqual([{ path: '', message: 'the body is not UTF-8' }]);
  });

  test('of the wrong shape at the top is refused', async () => {
    for (const top of ['[]', 'null', '"title"', '5'])
      expect(await issues(top)).toEqual([{ path: '', message: 'must be an object' }]);
  });

  test('has each wrong field named once, with what it should be', async () => {
    const wrong = { count: '5', kind: 'green', parent: 'x', tags: [{ name: 1, colour: 2 }], 'a/b~c': 1 };
    expect(await issues(JSON.stringify(wrong))).toEqual([
      { path: '/title', message: 'is required' },
      { path: '/a~1b~0c', message: 'is not a known field' },
      { path: '/count', message: 'must be a whole number' },
      { path: '/kind', message: 'must be one of red, blue' },
      { path: '/parent', message: 'must be a UUID, or must be null' },
      { path: '/tags/0/colour', message: 'is not a known field' },
      { path: '/tags/0/name', message: 'must be a string' },
    ]);
  });

  test('is not coerced: "5" is not 5, 1 is not true, null is not absent', async () => {
    for (const count of ['"5"', '5.5', 'true', 'null', '[5]', '1e999'])
      expect(await issues(`{"title":"x","count":${count}}`)).toEqual([
        { path: '/count', message: 'must be a whole number' },
      ]);
    expect(await issues('{"title":5}')).toEqual([{ path: '/title', message: 'must be a string' }]);
  });

  test('keeps the bounds of its fields at N and N + 1', async () => {
    expect((await send('POST', '/things', json('{"title":"12345","count":9}'))).response.status).toBe(200);
    expect(await issues('{"title":"123456","count":10}')).toEqual([
      { path: '/title', message: 'must have at most 5 characters' },
      { path: '/count', message: 'must be at most 9' },
    ]);
    expect(await issues('{"title":"","count":0}')).toEqual([
      { path: '/title', message: 'must not be empty' },
      { path: '/count', message: 'must be at least 1' },
    ]);
    expect(await issues('{"title":" \\t"}')).toEqual([{ path: '/title', message: 'must not be blank' }]);
  });

  test('holds neither NUL nor half a surrogate pair, in values or names, however deep', async () => {
    expect(await issues('{"title":"a\\u0000"}')).toEqual([{ path: '/title', message: 'must not contain NUL' }]);
    expect(await issues('{"title":"\\ud83d"}')).toEqual([
      { path: '/title', message: 'must not contain half of a surrogate pair' },
    ]);
    expect(await issues('{"title":"x","tags":[{"name":"\\udc00"}]}')).toEqual([
      { path: '/tags/0/name', message: 'must not contain half of a surrogate pair' },
    ]);
    expect(await issues('{"title":"x","tags":[{"a\\u0000":1}]}')).toEqual([
      { path: '/tags/0', message: 'has a field whose name must not contain NUL' },
    ]);
    expect((await send('POST', '/things', json('{"title":"\\ud83d\\ude00"}'))).response.status).toBe(200);
  });

  test('with the names of an object’s own machinery is refused like any unknown field', async () => {
    const { body } = await send('POST', '/things', json('{"title":"x","__proto__":{"count":1},"constructor":1}'));
    expect(body.error.details).toEqual([
      { path: '/__proto__', message: 'is not a known field' },
      { path: '/constructor', message: 'is not a known field' },
    ]);
    expect(Reflect.get({}, 'count')).toBeUndefined();
  });

  test('nested without end is refused, not followed', async () => {
    const deep = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`;
    expect(await issues(deep(65))).toEqual([{ path: '', message: 'the body is nested more than 64 levels deep' }]);
    expect(await issues(deep(64))).toEqual([{ path: '', message: 'must be an object' }]);
    expect(await issues(deep(200_000))).toHaveLength(1);
  });

  test('with a thousand unknown fields is refused with a bounded list', async () => {
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`f${index}`, 1]));
    expect((await issues(JSON.stringify(many))).length).toBeLessThanOrEqual(32);
  });
});

describe('the size of a body', () => {
  const bytes = (total: number): string => JSON.stringify({ text: 'x'.repeat(total - 11) });
  const authorization = 'Bearer user';

  test('is bounded at N and N + 1', async () => {
    expect(bytes(64)).toHaveLength(64);
    expect((await send('POST', '/small', json(bytes(64), { authorization }))).response.status).toBe(201);
    const { response, body } = await send('POST', '/small', json(bytes(65), { authorization }));
    expect(response.status).toBe(413);
    expect(body.error.code).toBe('PAYLOAD_TOO_LARGE');
  });

  test('is 1 MiB where a route names no other', async () => {
    const body = `{"title":"x"}${' '.repeat(LIMITS.body_bytes_max - 13)}`;
    expect((await send('POST', '/things', json(body))).response.status).toBe(200);
    expect((await send('POST', '/things', json(`${body} `))).response.status).toBe(413);
  });

  test('is counted as it arrives when no length is given', async () => {
    const stream = (chunks: number): ReadableStream =>
      new ReadableStream({
        start(controller) {
          controller.enqueue(Buffer.from('{"text":"'));
          for (let sent = 0; sent < chunks; sent++) controller.enqueue(Buffer.from('xxxxxxxxxx'));
          controller.enqueue(Buffer.from('"}'));
          controller.close();
        },
      });
    const headers = { 'content-type': 'application/json', authorization };
    const small = await send('POST', '/small', { body: stream(5), headers });
    expect(small.response.status).toBe(201);
    expect(small.body.data).toEqual({ length: 50 });
    expect((await send('POST', '/small', { body: stream(100_000), headers })).response.status).toBe(413);
  });

  test('is counted, not believed, when the length that was given is wrong', async () => {
    const request = new Request('http://concord/small', { method: 'POST', ...json(bytes(65), { authorization }) });
    request.headers.set('content-length', '3');
    openExchange(request, { clock, random: systemRandom, log, trust_proxy: false });
    expect((await app.handle(request)).status).toBe(413);
  });

  test('does not matter where no body is asked for', async () => {
    const init = { body: 'anything, of any type', headers: { authorization } };
    expect((await send('DELETE', '/user', init)).response.status).toBe(200);
  });

  test('a body that breaks off harms nobody', async () => {
    await new Promise<void>((resolve) => {
      const socket = connect(server.port ?? 0, '127.0.0.1', () => {
        const head =
          'POST /things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"ti';
        socket.end(head);
      });
      socket.on('close', () => resolve());
      socket.resume();
    });
    expect((await send('POST', '/things', json('{"title":"x"}'))).response.status).toBe(200);
  });
});

describe('an address', () => {
  test('takes ids in either case and hands them on in lower case', async () => {
    const { body } = await send('GET', `/things/${ID.toUpperCase()}`);
    expect(body.data.id).toBe(ID);
  });

  test('with a bad id is a validation error of that id', async () => {
    for (const bad of ['x', `${ID}0`, '%zz', `urn:uuid:${ID}`, ID.replaceAll('-', '')]) {
      const { response, body } = await send('GET', `/things/${bad}`);
      expect(response.status).toBe(422);
      expect(body.error.details).toEqual([{ path: '/id', message: 'must be a UUID' }]);
    }
  });

  test('refuses names in its query that it does not know, and names given twice', async () => {
    const unknown = await send('GET', `/things/${ID}?Limit=5&__proto__=1`);
    expect(unknown.body.error.details).toEqual([
      { path: '/Limit', message: 'is not a known field' },
      { path: '/__proto__', message: 'is not a known field' },
    ]);
    const twice = await send('GET', `/things/${ID}?limit=5&limit=6`);
    expect(twice.body.error.details).toEqual([{ path: '/limit', message: 'is given twice' }]);
    expect((await send('DELETE', '/user?x=1', { headers: { authorization: 'Bearer user' } })).response.status).toBe(
      422,
    );
  });

  test('takes a limit from 1 to 100, in plain digits, and 20 without one', async () => {
    for (const limit of ['1', '99', '100'])
      expect((await send('GET', `/things/${ID}?limit=${limit}`)).body.data.limit).toBe(Number(limit));
    expect((await send('GET', `/things/${ID}`)).body.data).toEqual({ id: ID, limit: 20, after: null });
    for (const limit of ['0', '101', '-1', '1.0', '+5', '05', '1e1', '', ' 5', '%00', 'ten'])
      expect((await send('GET', `/things/${ID}?limit=${limit}`)).body.error.details[0].path).toBe('/limit');
  });

  test('takes only cursors that its list could have given out', async () => {
    const cursor = (key: string): string => Buffer.from(key).toString('base64url');
    expect((await send('GET', `/things/${ID}?cursor=${cursor('k1')}`)).body.data.after).toBe('k1');
    for (const bad of [cursor('other'), 'k1', '****', '', `${cursor('k1')}=`, '_w'])
      expect((await send('GET', `/things/${ID}?cursor=${bad}`)).body.error.details).toEqual([
        { path: '/cursor', message: 'is not a cursor of this list' },
      ]);
  });
});

describe('who may call', () => {
  const as = (token: string): RequestInit => ({ headers: { authorization: `Bearer ${token}` } });

  test('is asked before anything else', async () => {
    const { response, body } = await send('POST', '/small', json('not json'));
    expect(response.status).toBe(401);
    expect(body.error.code).toBe('UNAUTHENTICATED');
    expect(response.headers.get('www-authenticate')).toBe('Bearer realm="concord"');
  });

  test('is somebody with a bearer token, the scheme in any case', async () => {
    expect((await send('DELETE', '/user', as('user'))).body.data).toBe(USER);
    expect((await send('DELETE', '/user', { headers: { authorization: 'bEARER   user' } })).body.data).toBe(USER);
    for (const authorization of [
      'user',
      'Basic user',
      'Bearer',
      'Bearer ',
      'Bearer user x',
      'Bearer: user',
      'Bearer ü',
    ])
      expect((await send('DELETE', '/user', { headers: { authorization } })).body.error.code).toBe('UNAUTHENTICATED');
  });

  test('is told an expired token from a revoked one from a strange one', async () => {
    const expired = await send('DELETE', '/user', as('expired'));
    expect([expired.response.status, expired.body.error.code]).toEqual([401, 'TOKEN_EXPIRED']);
    expect(expired.response.headers.get('www-authenticate')).toBe('Bearer realm="concord", error="invalid_token"');
    expect((await send('DELETE', '/user', as('revoked'))).body.error.code).toBe('TOKEN_REVOKED');
    expect((await send('DELETE', '/user', as('strange'))).body.error.code).toBe('UNAUTHENTICATED');
  });

  test('is, on an admin’s route, who is an admin now, whatever the token says', async () => {
    expect((await send('DELETE', '/admin', as('admin'))).body.data).toBe(ADMIN);
    const { response, body } = await send('DELETE', '/admin', as('user'));
    expect([response.status, body.error.code]).toEqual([403, 'FORBIDDEN']);
  });
});

describe('an answer', () => {
  test('has the route’s status, or the one that the handler chose', async () => {
    const headers = { authorization: 'Bearer user' };
    expect((await send('POST', '/small', json('{"text":"x"}', headers))).response.status).toBe(201);
    expect((await send('POST', '/small', json('{"text":""}', headers))).response.status).toBe(200);
  });

  test('to a bug says nothing of it, while the log and the reporter get all', async () => {
    for (const what of ['bug', 'text', 'internal']) {
      lines.length = 0;
      reported.length = 0;
      const { response, body } = await send('GET', `/throws?what=${what}`);
      expect(response.status).toBe(500);
      expect(body).toEqual({
        success: false,
        error: { code: 'INTERNAL', message: 'Something went wrong on our side.' },
      });
      expect(reported[0]?.error).toBe(THROWN[what]);
      expect(reported[0]?.context).toMatchObject({ route: '/throws' });
      expect(lines[0]).toMatchObject({ level: 'error', route: '/throws', request_id: expect.any(String) });
    }
    await send('GET', '/throws?what=bug');
    expect(lines.at(-1)?.error).toMatchObject({
      name: 'TypeError',
      message: 'secret internals',
      stack: expect.any(String),
    });
  });

  test('while storage is away is 503 with Retry-After, and tells no address', async () => {
    reported.length = 0;
    const { response, body } = await send('GET', '/throws?what=away');
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('2');
    expect(body.error).toEqual({ code: 'UNAVAILABLE', message: 'Storage is away for the moment; try again.' });
    expect(reported).toEqual([]);
  });

  test('to a refusal is its code and status, and Retry-After where there is one', async () => {
    const busy = await send('GET', '/throws?what=busy');
    expect([busy.response.status, busy.response.headers.get('retry-after')]).toEqual([429, '7']);
    const taken = await send('GET', '/throws?what=taken');
    expect([taken.response.status, taken.body.error.code]).toEqual([409, 'EMAIL_TAKEN']);
    expect(taken.response.headers.get('retry-after')).toBeNull();
  });
});
