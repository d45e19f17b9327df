/** Which pages may open a socket: docs/PROTOCOL.md, C30. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { openTestServer, type TestServer, type TestUser } from '../../test/support/server.ts';
import { CLOSE } from '../protocol/close.ts';
import { isForeign } from './origin.ts';

const FRIEND = 'https://editor.example.org';
let server: TestServer;
let ada: TestUser;
let doc_id: string;

beforeAll(async () => {
  server = await openTestServer({ CORS_ORIGINS: FRIEND });
  ada = await server.register('ada');
  doc_id = await server.createDocument(ada, 'text');
});

afterAll(async () => {
  await server.stop();
  expect(server.errors()).toEqual([]);
});

/** What comes first on a socket that a page of `origin` opened: a frame's type, or the code that it was closed with. */
function firstWord(path: string, origin: string | null): Promise<{ events: string[]; code: number | null }> {
  const headers: Record<string, string> = origin === null ? {} : { origin };
  const socket = new WebSocket(`${server.ws_url}${path}?token=${ada.token}`, { headers } as never);
  socket.binaryType = 'arraybuffer';
  const events: string[] = [];
  return new Promise((resolve) => {
    socket.onmessage = ({ data }) => {
      const event = typeof data === 'string' ? JSON.parse(data) : { type: 'binary' };
      events.push(event.type === 'error' ? event.code : event.type);
      if (event.type === 'error') return;
      resolve({ events, code: null });
      socket.close();
    };
    socket.onclose = ({ code }) => resolve({ events, code });
  });
}

test('C30: a page of another site is refused with 4403 on every door, our own and those of CORS_ORIGINS are not, nor is what is no browser', async () => {
  const own = server.url;
  for (const origin of [null, own, own.replace('http:', 'https:'), FRIEND]) {
    expect(await firstWord(`/v1/collab/${doc_id}`, origin)).toEqual({ events: ['ready'], code: null });
    expect(await firstWord(`/v1/yjs/${doc_id}`, origin)).toEqual({ events: ['binary'], code: null });
  }
  const foreign = [
    'https://evil.example',
    'null',
    `${FRIEND}.evil.example`,
    own.replace(/\d+$/, '1'),
    'http://localhost',
  ];
  for (const origin of foreign) {
    const code = CLOSE.FORBIDDEN;
    expect(await firstWord(`/v1/collab/${doc_id}`, origin)).toEqual({ events: ['FORBIDDEN'], code });
    expect(await firstWord(`/v1/yjs/${doc_id}`, origin)).toEqual({ events: [], code });
    expect(await firstWord('/v1/hocuspocus', origin)).toEqual({ events: [], code });
  }
});

test.each([
  ['https://docs.example.org', 'http://docs.example.org/v1/yjs/1', false],
  ['https://docs.example.org:8443', 'http://docs.example.org:8443/v1/yjs/1', false],
  ['https://docs.example.org:8443', 'http://docs.example.org/v1/yjs/1', true],
  ['https://docs.example.org.evil.example', 'http://docs.example.org/v1/yjs/1', true],
  ['https://evil.example, https://docs.example.org', 'http://docs.example.org/v1/yjs/1', true],
  ['https://docs.example.org@evil.example', 'http://docs.example.org/v1/yjs/1', true],
  ['file://', 'http://docs.example.org/v1/yjs/1', true],
  ['', 'http://docs.example.org/v1/yjs/1', true],
])('a page of %s that asks %s is foreign: %p', (origin, url, foreign) => {
  expect(isForeign(new Request(url, { headers: { origin } }), [])).toBe(foreign);
});
