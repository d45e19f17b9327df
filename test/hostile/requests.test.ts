/** Requests that no library would send: none reaches a handler as something else, splits a response, or ends the server. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import type { TestUser } from '../support/server.ts';
import { type Callers, openCallers } from './callers.ts';
import { speak } from './raw-http.ts';

let callers: Callers;
let owner: TestUser;

beforeAll(async () => {
  callers = await openCallers();
  ({ owner } = callers.by_name);
});
afterAll(async () => {
  expect(callers.server.errors()).toEqual([]);
  await callers.server.stop();
});
beforeEach(async () => {
  expect((await callers.server.call('GET', '/readyz')).status).toBe(200);
});

const GET = 'GET /v1/users/me HTTP/1.1';
const say = (lines: readonly string[], body: string | Uint8Array = '') => speak(callers.server.url, lines, body);

/** A status line and headers, and nothing among them that a caller put there. */
function expectUnsplit(head: string): void {
  const [status, ...headers] = head.split('\r\n');
  expect(status).toMatch(/^HTTP\/1\.1 \d{3}/);
  for (const line of headers) expect(line).toMatch(/^[A-Za-z0-9-]+: [\x20-\x7e]*$/);
  expect(head.toLowerCase()).not.toMatch(/^(set-cookie|x-evil)/m);
}

describe('headers cannot be injected', () => {
  const SPLITS: readonly string[] = [
    'abc\nSet-Cookie: a=b',
    'abc\rSet-Cookie: a=b',
    'abc%0d%0aSet-Cookie: a=b',
    'abc\r\n Set-Cookie: a=b',
    '\u0000',
    '\u001b[31m',
    '\u00e9\u00ff',
    'x'.repeat(129),
    '*',
    '{}',
    '',
  ];

  test('by x-request-id: one that is not sane is not repeated', async () => {
    for (const value of SPLITS) {
      const { status, head } = await say([GET, 'Host: x', `x-request-id: ${value}`]);
      if (status === 0) continue;
      expectUnsplit(head);
      const told = /^x-request-id: (.*)$/im.exec(head)?.[1];
      if (told !== undefined) expect(told).toMatch(/^[A-Za-z0-9._-]{1,128}$/);
    }
  });

  test('by paths, queries, origins and hosts', async () => {
    for (const value of [
      '%0d%0aX-Evil:%201',
      '%0aSet-Cookie:%20a=b',
      '//evil.example/%2f..',
      '/\\evil.example',
      '%E5%98%8A%E5%98%8DX-Evil:1',
    ])
      for (const [path, more] of [
        [`/admin/queues/${value}`, 'Accept: text/html'],
        [`/admin/queues?next=${value}`, 'Accept: text/html'],
        [`/docs/${value}`, 'Accept: text/html'],
        [`/${value}`, `Origin: http://${value}`],
        [`/v1/users/me?x=${value}`, `Referer: ${value}`],
      ] as const) {
        const { status, head } = await say([`GET ${path} HTTP/1.1`, 'Host: x', more]);
        expect([path, status < 500]).toEqual([path, true]);
        if (status === 0) continue;
        expectUnsplit(head);
        expect(/^location: (.*)$/im.exec(head)?.[1] ?? '/').toMatch(/^\/(?![/\\])/);
      }
  });
});

describe('requests that are not as they should be are refused, or answered as what they are', () => {
  const token = () => `Authorization: Bearer ${owner.token}`;
  const ODD: readonly (readonly [what: string, lines: () => readonly string[], body?: string])[] = [
    ['no Host', () => [GET, token()]],
    ['an empty Host', () => [GET, 'Host: ', token()]],
    ['two Hosts', () => [GET, 'Host: a', 'Host: b', token()]],
    ['a Host that is half an IPv6 address', () => [GET, 'Host: [', token()]],
    ['a Host with markup', () => [GET, 'Host: "><script>alert(1)</script>', token()]],
    ['a Host with a path', () => [GET, 'Host: x/v1/documents?', token()]],
    ['a Host with a user', () => [GET, 'Host: a:b@c', token()]],
    ['a Host with a port that is none', () => [GET, 'Host: x:99999999', token()]],
    ['an absolute address', () => ['GET http://evil.example/v1/users/me HTTP/1.1', 'Host: x', token()]],
    ['an address of another scheme', () => ['GET file:///etc/passwd HTTP/1.1', 'Host: x', token()]],
    ['two slashes', () => ['GET //v1/users/me HTTP/1.1', 'Host: x', token()]],
    ['dots', () => ['GET /v1/documents/../users/me HTTP/1.1', 'Host: x', token()]],
    ['dots in percent', () => ['GET /v1/documents/%2e%2e/users/me HTTP/1.1', 'Host: x', token()]],
    ['a slash in percent', () => ['GET /v1/documents/..%2fusers%2fme HTTP/1.1', 'Host: x', token()]],
    ['percent and no digits', () => ['GET /v1/documents/%zz?q=%zz HTTP/1.1', 'Host: x', token()]],
    ['percent and half a character', () => ['GET /v1/users/%c3?%ff=%fe HTTP/1.1', 'Host: x', token()]],
    ['a query of nothing but signs', () => ['GET /v1/documents?&&==&%26 HTTP/1.1', 'Host: x', token()]],
    ['no path', () => ['GET ? HTTP/1.1', 'Host: x', token()]],
    ['a star', () => ['OPTIONS * HTTP/1.1', 'Host: x']],
    ['a method of nobody', () => ['BREW /v1/users/me HTTP/1.1', 'Host: x', token()]],
    ['TRACE', () => ['TRACE /v1/users/me HTTP/1.1', 'Host: x', token()]],
    ['CONNECT', () => ['CONNECT evil.example:443 HTTP/1.1', 'Host: x']],
    ['a method in small letters', () => ['get /v1/users/me HTTP/1.1', 'Host: x', token()]],
    [
      'an override of the method',
      () => ['POST /v1/users/me HTTP/1.1', 'Host: x', token(), 'X-HTTP-Method-Override: DELETE', 'Content-Length: 0'],
    ],
    ['HTTP/1.0', () => ['GET /v1/users/me HTTP/1.0', 'Host: x', token()]],
    ['HTTP/9.9', () => ['GET /v1/users/me HTTP/9.9', 'Host: x', token()]],
    ['no version', () => ['GET /v1/users/me', 'Host: x']],
    ['the preface of HTTP/2', () => ['PRI * HTTP/2.0', '', 'SM']],
    ['TLS', () => ['\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003']],
    ['a header without a colon', () => [GET, 'Host: x', 'nonsense', token()]],
    ['a header whose name has a space', () => [GET, 'Host: x', 'Authorization : Bearer x']],
    ['a header without a name', () => [GET, 'Host: x', ': x', token()]],
    ['a header with NUL', () => [GET, 'Host: x', 'x-a: \u0000', token()]],
    ['300 headers', () => [GET, 'Host: x', token(), ...Array.from({ length: 300 }, (_, i) => `x-${i}: y`)]],
    ['a header of 100 KB', () => [GET, 'Host: x', token(), `x-a: ${'y'.repeat(100_000)}`]],
    ['a path of 100 KB', () => [`GET /v1/${'y'.repeat(100_000)} HTTP/1.1`, 'Host: x', token()]],
    ['an upgrade to something else', () => [GET, 'Host: x', token(), 'Upgrade: h2c', 'Connection: Upgrade']],
    [
      'a door without a key',
      () => ['GET /v1/hocuspocus HTTP/1.1', 'Host: x', 'Upgrade: websocket', 'Connection: Upgrade'],
    ],
    [
      'a door with a key that is none',
      () => [
        'GET /v1/hocuspocus HTTP/1.1',
        'Host: x',
        'Upgrade: websocket',
        'Connection: Upgrade',
        'Sec-WebSocket-Key: x',
        'Sec-WebSocket-Version: 99',
      ],
    ],
    [
      'a door and a Host that is none',
      () => [
        'GET /v1/collab/x HTTP/1.1',
        'Host: [',
        'Upgrade: websocket',
        'Connection: Upgrade',
        'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==',
        'Sec-WebSocket-Version: 13',
        'Origin: http://[',
      ],
    ],
    ['a door and a Host that is none, and no upgrade', () => ['GET /v1/collab/x HTTP/1.1', 'Host: [', 'Origin: null']],
    ['a door by POST', () => ['POST /v1/collab/x HTTP/1.1', 'Host: x', 'Content-Length: 0']],
  ];
  test.each(ODD)('%s', async (what, lines, body = '') => {
    const { status, head } = await say(lines(), body);
    expect([what, status, status < 500 || status === 501 || status === 505]).toEqual([what, status, true]);
    if (status !== 0) expectUnsplit(head);
  });
});

test('a caller of HTTP/1.0 may leave the Host out, as health checks do; one of HTTP/1.1 may not', async () => {
  expect((await say(['GET /readyz HTTP/1.0'])).status).toBe(200);
  const me = ['GET /v1/users/me HTTP/1.0', `Authorization: Bearer ${owner.token}`];
  expect((await say(me)).body).toContain(owner.email);
  expect((await say(['GET /readyz HTTP/1.1'])).status).toBe(400);
  expect((await say(['GET /readyz HTTP/1.1', 'Host: ['])).status).toBe(422);
});

describe('a body is where its length says, and no request hides in another', () => {
  const post = (...more: readonly string[]) => [
    'POST /v1/documents HTTP/1.1',
    'Host: x',
    `Authorization: Bearer ${owner.token}`,
    'Content-Type: application/json',
    ...more,
  ];
  const hidden = 'GET /v1/users/me HTTP/1.1\r\nHost: x\r\nx-request-id: hidden\r\n\r\n';
  const SMUGGLED: readonly (readonly [what: string, more: readonly string[], body: string])[] = [
    ['both a length and chunks', ['Content-Length: 4', 'Transfer-Encoding: chunked'], `0\r\n\r\n${hidden}`],
    ['chunks by another name', ['Content-Length: 4', 'Transfer-Encoding: xchunked'], `0\r\n\r\n${hidden}`],
    ['chunks twice', ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], `0\r\n\r\n${hidden}`],
    ['two lengths', ['Content-Length: 2', `Content-Length: ${hidden.length + 2}`], `{}${hidden}`],
    ['a length with a sign', ['Content-Length: +2'], `{}${hidden}`],
    ['a length below zero', ['Content-Length: -1'], `{}${hidden}`],
    ['a length in hexadecimal', ['Content-Length: 0x2'], `{}${hidden}`],
    ['a length of many digits', [`Content-Length: ${'9'.repeat(40)}`], '{}'],
    ['a length in a list', ['Content-Length: 2, 2'], `{}${hidden}`],
    ['a chunk of no size', ['Transfer-Encoding: chunked'], `\r\n{}\r\n0\r\n\r\n`],
    ['a chunk below zero', ['Transfer-Encoding: chunked'], `-1\r\n{}\r\n0\r\n\r\n`],
    ['a chunk of 2^64', ['Transfer-Encoding: chunked'], `ffffffffffffffff1\r\n{}\r\n0\r\n\r\n`],
    ['a chunk with an extension', ['Transfer-Encoding: chunked'], `2;x="\r\n${hidden}"\r\n{}\r\n0\r\n\r\n`],
  ];
  test.each(SMUGGLED)('%s', async (what, more, body) => {
    // What does not end is ended here: the server may wait for the rest as long as it likes.
    const answer = await Promise.race([say(post(...more), body), Bun.sleep(1_500).then(() => null)]);
    const text = answer === null ? '' : `${answer.head}\r\n\r\n${answer.body}`;
    expect([what, (answer?.status ?? 0) < 500 || answer?.status === 501]).toEqual([what, true]);
    expect(text).not.toContain('hidden');
    expect(text).not.toContain(owner.email);
  });

  test('a compressed body is refused before it is unpacked', async () => {
    const bomb = Bun.gzipSync(new Uint8Array(32 * 1024 * 1024));
    const lines = post('Content-Encoding: gzip', `Content-Length: ${bomb.length}`);
    expect((await say(lines, bomb)).status).toBe(415);
  });
});
