/**
 * Thousands of requests drawn from the OpenAPI document that the server itself publishes, for every route: what fits, what lies
 * on a bound, what does not fit. Whatever is asked, nothing is a bug of ours, each answer is one that the document names, in the
 * envelope and of the schema that it names, and each says which exchange it was.
 *
 * `CONCORD_HOSTILE_SEED=7 bin/test test/hostile/openapi.test.ts` draws what seed 7 draws.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { type Random, seededRandom } from '../../src/base/random.ts';
import { conformityFaults } from '../support/openapi-conformity.ts';
import type { TestUser } from '../support/server.ts';
import { type Callers, openCallers, PASSWORD } from './callers.ts';
import { type Drawn, Generator, type Operation, type Pools } from './generate.ts';
import { below, pick } from './mutate.ts';
import { NO_SUCH_ID, sessionOf } from './routes.ts';

const SEED = Number(process.env.CONCORD_HOSTILE_SEED ?? 20_260_101);
const PER_ROUTE = 80;
/** Where a password is looked at, which takes its time on purpose. */
const PER_SLOW_ROUTE = 25;
const SLOW = /\/auth\/(register|login)|\/users\/me\/password|^DELETE \/v1\/users\/me$/;
/** What may end the session of whoever asks. */
const SPENDS = /\/auth\/logout|^DELETE \/v1\/(auth\/sessions|users\/me)/;
const FAULTS_SHOWN = 20;

let callers: Callers;

beforeAll(async () => {
  callers = await openCallers();
});
afterAll(async () => {
  await callers.server.stop();
});

const DELTAS: readonly unknown[] = [
  [{ insert: 'x' }],
  [{ insert: 'Hallo \u{1f600}\n', attributes: { bold: true, link: 'https://example.org', header: 1, list: 'bullet' } }],
  [{ retain: 1 }, { delete: 1 }],
  [{ retain: 1, attributes: { bold: null } }],
  [{ insert: { image: 'https://example.org/x.png' }, attributes: { alt: 'x' } }],
  [{ delete: 2 ** 53 - 1 }],
  [{ retain: 2 ** 31 }, { insert: 'x' }],
  [{ insert: '' }],
  [],
  Array.from({ length: 10_001 }, () => ({ insert: 'x' })),
];
const VALUES: readonly unknown[] = [
  ...DELTAS,
  '# A\n\n* b\n\n> c `d` ![e](f "g")',
  '<h1>a<b>c</h1><ul><li>d<img src=x>',
  'plain',
  'AAA=',
];
const BUSY = '/v1/documents';

/** What requests are drawn about: documents of all kinds, and what is in them. */
async function openPools(user: TestUser): Promise<Pools> {
  const { server, by_name, guest } = callers;
  const make = async (token: string, path: string, body: unknown) =>
    (await server.call('POST', path, token, body)).body.data.id;
  const mine = await Promise.all(Array.from({ length: 4 }, () => server.createDocument(user, 'Some text.\n')));
  const others = await callers.sharedDocument();
  const deleted = await server.createDocument(user);
  await server.call('DELETE', `${BUSY}/${deleted}`, user.token);
  const versions = await Promise.all(mine.map((id) => make(user.token, `${BUSY}/${id}/versions`, { name: 'One' })));
  const links = await Promise.all(mine.map((id) => make(user.token, `${BUSY}/${id}/links`, { role: 'viewer' })));
  return {
    id: [...mine, ...mine, others, deleted, NO_SUCH_ID],
    version_id: [...versions, NO_SUCH_ID],
    link_id: [...links, NO_SUCH_ID],
    user_id: [user.user_id, guest.user_id, by_name.erased.user_id, NO_SUCH_ID],
    session_id: [sessionOf(user), NO_SUCH_ID],
    document_id: [...mine, NO_SUCH_ID],
    email: [guest.email, user.email, by_name.editor.email, 'no such', `${'x'.repeat(250)}@x`, 'A@B.c', 'ä@ö.ü'],
    password: [PASSWORD, 'wrong password', 'short'],
    current_password: [PASSWORD, 'wrong password'],
    new_password: [PASSWORD, 'another good one', user.email],
    refresh_token: ['never issued'],
    delta: DELTAS,
    value: VALUES,
    rev: [0, 1, 2, 99],
    from: [0, 1, 2],
    to: [0, 1, 99],
    base_rev: [0, 1, 2, 2 ** 53 - 1],
    seq: [1, 2, 3],
  };
}

/** What is wrong with the answer to a request, in words. */
async function faultsOf(drawn: Drawn): Promise<{ status: number; faults: readonly string[] }> {
  const { method, path, headers, body } = drawn;
  const response = await fetch(callers.server.url + path, { method, headers, ...(body === null ? {} : { body }) });
  const { status } = response;
  const text = await response.text();
  const faults: string[] = [];
  // A head that is too large is refused by the runtime, before there is an exchange.
  if (status === 431) return { status, faults };
  if (!/^[A-Za-z0-9._-]{1,128}$/.test(response.headers.get('x-request-id') ?? '')) faults.push('no x-request-id');
  if (response.headers.get('x-content-type-options') !== 'nosniff') faults.push('may be sniffed');
  if (status >= 500) faults.push(`status ${status}: ${text}`);
  if (path === '/metrics' || path.startsWith('/metrics?')) return { status, faults };
  const said = JSON.parse(text) as { success?: unknown; data?: unknown; error?: { code?: unknown; message?: unknown } };
  if (said.success !== status < 400) faults.push('not in the envelope');
  if (status >= 400 && (typeof said.error?.code !== 'string' || typeof said.error.message !== 'string'))
    faults.push('no code');
  faults.push(...conformityFaults(callers.published, method, path, { status, body: said }));
  return { status, faults };
}

/** Draws this many requests for one route and asks them, one after the other. */
async function probe(
  random: Random,
  method: string,
  template: string,
  statuses: Map<number, number>,
): Promise<string[]> {
  const operation = callers.published.paths[template]?.[method.toLowerCase()] as Operation;
  let user = await callers.fresh(random.float() < 0.2 ? 'admin' : 'stranger');
  let generator = new Generator(random, await openPools(user));
  const found: string[] = [];
  for (let i = SLOW.test(`${method} ${template}`) ? PER_SLOW_ROUTE : PER_ROUTE; i > 0; i--) {
    const drawn = generator.draw(method, template, operation, user.token);
    const { status, faults } = await faultsOf(drawn);
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (faults.length > 0) found.push(`${JSON.stringify(drawn).slice(0, 1_000)}: ${faults.join('; ')}`);
    const is_spent = status === 200 ? SPENDS.test(`${method} ${template}`) : status === 401 && drawn.signed_in;
    const is_stale = below(random, status === 200 && method === 'DELETE' ? 8 : 60) === 0;
    if (!is_spent && !is_stale) continue;
    if (is_spent) user = await callers.fresh(pick(random, ['admin', 'stranger']));
    generator = new Generator(random, await openPools(user));
  }
  return found;
}

test('no request that the document lets one think of is answered by a bug, or by anything that the document does not name', async () => {
  console.log(`requests: CONCORD_HOSTILE_SEED=${SEED} draws the same again`);
  const routes = Object.entries(callers.published.paths).flatMap(([template, methods]) =>
    Object.keys(methods).map((method) => [method.toUpperCase(), template] as const),
  );
  const statuses = new Map<number, number>();
  const found: string[] = [];
  const pending = [...routes.entries()];
  const work = async (): Promise<void> => {
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const [index, [method, template]] = next;
      found.push(...(await probe(seededRandom(SEED + index), method, template, statuses)));
    }
  };
  await Promise.all(Array.from({ length: 4 }, work));
  const total = [...statuses.values()].reduce((sum, count) => sum + count, 0);
  const shown = [...statuses].toSorted().map(([status, count]) => `${count} × ${status}`);
  console.log(`${total} requests to ${routes.length} routes: ${shown.join(', ')}`);
  expect(found.slice(0, FAULTS_SHOWN)).toEqual([]);
  expect(callers.server.errors()).toEqual([]);
}, 600_000);
