/**
 * Whatever takes a right away acts on open sockets of every node within a second, and stays so when Redis forgets. What is
 * done is asked of one node; the sockets are on another.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { Redis } from 'ioredis';
import { CLOSE } from '../src/protocol/close.ts';
import { TIMES } from '../src/protocol/limits.ts';
import { openTestServer, type TestServer, type TestUser } from './support/server.ts';
import { JsonClient, YjsClient } from './support/sockets.ts';

const PASSWORD = 'open sesame, says the test';
/** CONTRACT.md section 3, 6: within a second. */
const SOON_MS = 1_000;

let [here, there] = [{} as TestServer, {} as TestServer];
let redis: Redis;
/** Ada owns the document, Bob edits it; made anew for each test. */
let [ada, bob] = [{} as TestUser, {} as TestUser];
let doc_id = '';
let people = 0;

beforeAll(async () => {
  here = await openTestServer({ NODE_ID: 'here' });
  there = await openTestServer({ NODE_ID: 'there' }, here);
  redis = new Redis(here.redis_url, { retryStrategy: null });
  redis.on('error', () => {});
});
afterAll(async () => {
  redis.disconnect();
  await there.stop();
  await here.stop();
  expect(here.errors()).toEqual([]);
  expect(there.errors()).toEqual([]);
});
beforeEach(async () => {
  people += 1;
  [ada, bob] = [await here.register(`ada-${people}`), await here.register(`bob-${people}`)];
  doc_id = await here.createDocument(ada, 'text');
  await here.share(ada, doc_id, bob, 'editor');
});

/** What is done; with which code it ends Bob's sockets, and what REST says to his token then. */
interface Ending {
  readonly what: string;
  readonly code: number | readonly number[];
  readonly refusal: string;
  act(): Promise<{ readonly status: number }>;
}

const document = (): string => `/v1/documents/${doc_id}`;

const ENDINGS: readonly Ending[] = [
  {
    what: 'a role that is taken away',
    code: CLOSE.FORBIDDEN,
    refusal: 'NOT_FOUND',
    act: () => here.call('DELETE', `${document()}/permissions/${bob.user_id}`, ada.token),
  },
  {
    what: 'leaving a document',
    code: CLOSE.FORBIDDEN,
    refusal: 'NOT_FOUND',
    act: () => here.call('DELETE', `${document()}/permissions/${bob.user_id}`, bob.token),
  },
  {
    what: 'deleting the document',
    code: CLOSE.NOT_FOUND,
    refusal: 'NOT_FOUND',
    act: () => here.call('DELETE', document(), ada.token),
  },
  {
    what: 'signing out',
    code: CLOSE.UNAUTHENTICATED,
    refusal: 'TOKEN_REVOKED',
    act: () => here.call('POST', '/v1/auth/logout', bob.token, { refresh_token: bob.refresh_token }),
  },
  {
    what: 'a refresh token that is used twice',
    code: CLOSE.UNAUTHENTICATED,
    refusal: 'TOKEN_REVOKED',
    async act() {
      const body = { refresh_token: bob.refresh_token };
      await here.call('POST', '/v1/auth/refresh', undefined, body);
      const { status } = await here.call('POST', '/v1/auth/refresh', undefined, body);
      return { status: status === 401 ? 200 : status };
    },
  },
  {
    what: 'a new password, set in another session',
    code: CLOSE.UNAUTHENTICATED,
    refusal: 'TOKEN_REVOKED',
    async act() {
      const { token } = await here.signIn(bob);
      const passwords = { current_password: PASSWORD, new_password: `${PASSWORD} anew` };
      return here.call('POST', '/v1/users/me/password', token, passwords);
    },
  },
  {
    what: 'erasing the account of the only owner, for the others',
    code: CLOSE.NOT_FOUND,
    refusal: 'NOT_FOUND',
    act: () => here.call('DELETE', '/v1/users/me', ada.token, { password: PASSWORD }),
  },
  {
    what: 'erasing one’s account',
    // The role goes with it; which of the two is told first is all the same.
    code: [CLOSE.FORBIDDEN, CLOSE.UNAUTHENTICATED],
    refusal: 'TOKEN_REVOKED',
    act: () => here.call('DELETE', '/v1/users/me', bob.token, { password: PASSWORD }),
  },
];

describe.each(ENDINGS)('$what', ({ code, refusal, act }) => {
  test(`closes sockets of another node with ${code} within a second, and is not forgotten with Redis`, async () => {
    const clients = [await JsonClient.join(there, doc_id, bob), await YjsClient.join(there, doc_id, bob)];
    expect((await act()).status).toBe(200);
    const done_at = performance.now();
    for (const client of clients) expect([code].flat()).toContain((await client.closed).code);
    expect(performance.now() - done_at).toBeLessThan(SOON_MS);
    for (const forget of [false, true]) {
      if (forget) await redis.flushall();
      const answer = await there.call('GET', `${document()}/content`, bob.token);
      expect(answer.body.error.code).toBe(refusal);
      const late = YjsClient.open(there, doc_id, bob);
      expect((await late.closed).code).toBe(refusal === 'TOKEN_REVOKED' ? CLOSE.UNAUTHENTICATED : CLOSE.NOT_FOUND);
    }
  });
});

test('a lower role is obeyed on both doors of another node within a second', async () => {
  const [json, yjs] = [await JsonClient.join(there, doc_id, bob), await YjsClient.join(there, doc_id, bob)];
  await here.share(ada, doc_id, bob, 'viewer');
  const done_at = performance.now();
  expect(await json.take('role')).toMatchObject({ role: 'viewer' });
  yjs.write((text) => text.insert(0, 'a'));
  await yjs.take('denied');
  expect(performance.now() - done_at).toBeLessThan(SOON_MS);
  expect(await here.text(ada, doc_id)).toBe('text');
  await Promise.all([json.leave(), yjs.leave()]);
});

test('a token that expires ends its sockets on both doors', async () => {
  const clients = [await JsonClient.join(there, doc_id, bob), await YjsClient.join(there, doc_id, bob)];
  await there.later(900_000);
  for (const client of clients) expect((await client.closed).code).toBe(CLOSE.UNAUTHENTICATED);
});

// The last one: it leaves no Redis behind.
test('with Redis gone for good, what one node is told is obeyed on another all the same, a moment later', async () => {
  // The clock of that node is ahead by now.
  bob = await there.signIn(bob);
  const clients = [await JsonClient.join(there, doc_id, bob), await YjsClient.join(there, doc_id, bob)];
  await redis.shutdown('NOSAVE').catch(() => {});
  expect((await here.call('DELETE', `${document()}/permissions/${bob.user_id}`, ada.token)).status).toBe(200);
  const done_at = performance.now();
  for (const client of clients) expect((await client.closed).code).toBe(CLOSE.FORBIDDEN);
  expect(performance.now() - done_at).toBeLessThan(TIMES.rights_check_away_ms + SOON_MS);
});
