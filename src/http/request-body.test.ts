import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { connect } from 'node:net';
import { clock, handle, json, sender, serveToy } from '../../test/support/toy-http.ts';
import { LIMITS, TIMES } from '../protocol/limits.ts';

let server: ReturnType<typeof serveToy>;
beforeAll(() => {
  server = serveToy();
});
afterAll(() => server.stop(true));
const send = sender(() => server);

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
    const packed = json(Bun.gzipSync(Buffer.from('{"title":"x"}')), { 'content-encoding': 'gzip' });
    expect((await send('POST', '/things', packed)).response.status).toBe(415);
  });

  test('that is absent is what is wrong, not its type', async () => {
    const { response, body } = await send('POST', '/things');
    expect([response.status, body.error.code]).toEqual([422, 'VALIDATION_ERROR']);
    expect(body.error.details).toEqual([{ path: '', message: 'the body is empty; JSON is expected' }]);
    const unnamed = await send('POST', '/things', { body: Buffer.from('{"title":"x"}') });
    expect(unnamed.response.status).toBe(415);
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
    expect((await handle(request)).status).toBe(413);
  });

  test('may be absent or without fields where none is asked for, and nothing else', async () => {
    const sent = async (init: RequestInit): Promise<unknown> => {
      const { response, body } = await send('DELETE', '/user', init);
      return body.error === undefined ? response.status : [body.error.code, body.error.details?.[0]?.path];
    };
    expect(await sent({ headers: { authorization } })).toBe(200);
    expect(await sent({ headers: { authorization, 'content-type': 'application/json' } })).toBe(200);
    expect(await sent(json('', { authorization }))).toBe(200);
    expect(await sent(json('{}', { authorization }))).toBe(200);
    expect(await sent(json('{"x":1}', { authorization }))).toEqual(['VALIDATION_ERROR', '/x']);
    expect(await sent(json('{bad', { authorization }))).toEqual(['VALIDATION_ERROR', '']);
    expect(await sent({ body: 'of another type', headers: { authorization } })).toEqual([
      'UNSUPPORTED_MEDIA_TYPE',
      undefined,
    ]);
    const large = json(' '.repeat(LIMITS.body_bytes_max + 1), { authorization });
    expect(await sent(large)).toEqual(['PAYLOAD_TOO_LARGE', undefined]);
  });

  test('does not buy time without end: what has not arrived by then is not waited for', async () => {
    const patience_ms = TIMES.body_patience_ms + (64 / LIMITS.body_bytes_per_second_min) * 1000;
    const { promise: stalled, resolve: stall } = Promise.withResolvers<void>();
    let asked = 0;
    const body = new ReadableStream({
      pull(controller) {
        asked += 1;
        if (asked === 1) controller.enqueue(Buffer.from('"'));
        else stall();
      },
    });
    const headers = { authorization, 'content-type': 'application/json' };
    const answer = handle(new Request('http://concord/small', { method: 'POST', body, headers }));
    await stalled;
    // The reader asks within this turn.
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(patience_ms - 1);
    expect(await Promise.race([answer, Promise.resolve('still waiting')])).toBe('still waiting');
    clock.advance(1);
    const response = await answer;
    expect(response.status).toBe(422);
    expect((await response.json()).error.details).toEqual([{ path: '', message: 'the body did not arrive in time' }]);
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
