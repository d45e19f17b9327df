import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import {
  ADMIN,
  ID,
  json,
  lines,
  parts,
  reported,
  sender,
  serveToy,
  THROWN,
  USER,
} from '../../test/support/toy-http.ts';
import { until } from '../../test/support/until.ts';

let server: ReturnType<typeof serveToy>;
beforeAll(() => {
  server = serveToy();
});
afterAll(() => server.stop(true));
const send = sender(() => server);

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

  test('that is made elsewhere goes out in parts, and is broken off where they fail, in front of everybody', async () => {
    expect((await send('GET', '/parts?end=well')).body).toEqual({ success: true, data: ['a', 'b'] });
    lines.length = 0;
    reported.length = 0;
    expect(await send('GET', '/parts?end=throw').catch(() => 'broken off')).toBe('broken off');
    // The client here may ask again by itself.
    expect(reported[0]?.error).toBe(THROWN.bug);
    expect(reported[0]?.context).toMatchObject({ route: '/parts' });
    expect(lines[0]).toMatchObject({ level: 'error', route: '/parts' });
  });

  test('that is made elsewhere is made no further once nobody reads it', async () => {
    const before = { ...parts };
    const leave = new AbortController();
    const { body } = await fetch(`${server.url.origin}/parts?end=never`, { signal: leave.signal });
    await body?.getReader().read();
    leave.abort();
    await until('the generator is ended', () => parts.ended > before.ended);
    expect(parts.begun).toBe(before.begun + 1);
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
