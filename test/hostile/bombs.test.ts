/** Small things that would become large, or take long: each is refused or taken in no time, and nobody waits for it. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import * as encoding from 'lib0/encoding';
import { MESSAGE, step1Frame, step2Frame, updateFrame } from '../../src/protocol/yjs-wire.ts';
import { JsonClient, YjsClient } from '../support/sockets.ts';
import { BOMBS, CROWDS, VECTORS } from './bombs.ts';
import { type Callers, openCallers } from './callers.ts';

/** Far above what any of it takes, and far below what it would take if its size were believed. */
const SETTLES_MS_MAX = 10_000;

let callers: Callers;

beforeAll(async () => {
  callers = await openCallers();
});
afterAll(async () => {
  await callers.server.stop();
});
afterEach(async () => {
  expect(callers.server.errors()).toEqual([]);
  expect((await callers.server.call('GET', '/readyz')).status).toBe(200);
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});

/** Sends it on a socket of its own; whoever else is on the document goes on, and everybody reads the same in every format. */
async function detonate(frame: Uint8Array): Promise<void> {
  const { server, by_name } = callers;
  const { owner, editor } = by_name;
  const doc_id = await callers.sharedDocument();
  const [witness, client] = [
    await JsonClient.join(server, doc_id, owner),
    await YjsClient.join(server, doc_id, editor),
  ];
  const begun = performance.now();
  client.send(frame);
  const fate = await Promise.race([client.settled().then(() => 'open'), client.closed.then(({ code }) => code)]).catch(
    async () => (await client.closed).code,
  );
  expect(fate).toBeOneOf(['open', 4400]);
  await witness.edit([{ insert: 'on' }]);
  expect(performance.now() - begun).toBeLessThan(SETTLES_MS_MAX);
  expect(witness.of('error')).toEqual([]);
  for (const format of ['delta', 'text', 'html', 'markdown', 'yjs']) {
    const { status } = await server.call('GET', `/v1/documents/${doc_id}/content?format=${format}`, owner.token);
    expect([format, status]).toEqual([format, 200]);
  }
  const late = await YjsClient.join(server, doc_id, owner);
  await late.reads((await server.text(owner, doc_id)).replaceAll('\ufffc', ''));
  await Promise.all([late.leave(), witness.leave(), fate === 'open' ? client.leave() : client.closed]);
}

describe('a Yjs update', () => {
  test.each(BOMBS)('of %s', (_, update) => detonate(updateFrame(update)));
  test.each(BOMBS)('of %s, as a step 2', (_, update) => detonate(step2Frame(update)));
});

describe('a state vector', () => {
  test.each(VECTORS)('of %s', (_, vector) => detonate(step1Frame(vector)));
});

describe('awareness', () => {
  test.each(CROWDS)('of %s', async (_, payload) => {
    const encoder = encoding.createEncoder();
    encoding.writeVarUint(encoder, MESSAGE.AWARENESS);
    encoding.writeVarUint8Array(encoder, payload);
    await detonate(encoding.toUint8Array(encoder));
  });
});

describe('JSON that is nested without measure', () => {
  const DEPTH = 200_000;
  const NESTED: readonly (readonly [string, string])[] = [
    ['lists', '['.repeat(DEPTH) + ']'.repeat(DEPTH)],
    ['objects', `${'{"a":'.repeat(DEPTH)}1${'}'.repeat(DEPTH)}`],
    ['lists that do not end', '['.repeat(DEPTH)],
  ];
  test.each(NESTED)('%s', async (_, nested) => {
    const { server, by_name } = callers;
    const doc_id = await callers.sharedDocument();
    const headers = { authorization: `Bearer ${by_name.owner.token}`, 'content-type': 'application/json' };
    const bodies = [nested, `{"title":${nested}}`, `{"changes":{"delta":[{"insert":${nested}}]}}`];
    for (const path of ['/v1/documents', `/v1/documents/${doc_id}/edits`])
      for (const body of bodies) {
        const { status } = await fetch(server.url + path, { method: 'POST', headers, body });
        expect([path, [413, 422].includes(status)]).toEqual([path, true]);
      }
    const client = await JsonClient.join(server, doc_id, by_name.owner);
    client.sendRaw(`{"type":"presence","status":"active","state":{"a":${nested}}}`);
    client.sendRaw(`{"type":"edit","seq":1,"changes":{"base_rev":1,"delta":[{"insert":{"a":${nested}}}]}}`);
    // What is JSON gets an error and may stay; what is none is closed.
    const fate = await Promise.race([client.closed.then(({ code }) => code), client.ping().then(() => 'open')]).catch(
      async () => (await client.closed).code,
    );
    expect(fate).toBeOneOf(['open', 4400, 4413]);
    if (fate === 'open') await client.leave();
  });
});

describe('text that makes a careless reader go over it again and again', () => {
  const N = 100_000;
  const PATTERNS: readonly (readonly [format: 'markdown' | 'html', what: string, text: string])[] = [
    ['markdown', 'stars', '*'.repeat(N)],
    ['markdown', 'stars and letters', '*a '.repeat(N / 3)],
    ['markdown', 'emphasis that does not end', '*a_b'.repeat(N / 4)],
    ['markdown', 'brackets', '['.repeat(N)],
    ['markdown', 'brackets and parentheses', '[a]('.repeat(N / 4)],
    ['markdown', 'images in images', '![['.repeat(N / 3)],
    ['markdown', 'backticks of every length', Array.from({ length: 400 }, (_, i) => `${'`'.repeat(i)}a`).join('')],
    ['markdown', 'quotes in quotes', `${'>'.repeat(N)}a`],
    ['markdown', 'lists in lists', Array.from({ length: 400 }, (_, i) => `${'  '.repeat(i)}* a`).join('\n')],
    ['markdown', 'lists on one line', '* '.repeat(N / 2)],
    ['markdown', 'angles', '<'.repeat(N)],
    ['markdown', 'comments that do not end', '<!--'.repeat(N / 4)],
    ['markdown', 'autolinks that do not end', '<http://'.repeat(N / 8)],
    ['markdown', 'entities', '&'.repeat(N)],
    ['markdown', 'backslashes', '\\'.repeat(N)],
    ['markdown', 'references', '[a]: <b\n'.repeat(N / 8)],
    ['markdown', 'table rows', `|${'a|'.repeat(1_000)}\n|${'-|'.repeat(1_000)}\n`.repeat(20)],
    ['markdown', 'underlines of headings', 'a\n'.repeat(N / 2) + '='.repeat(100)],
    ['markdown', 'blanks before a line end', `a${' '.repeat(N)}\nb`],
    ['markdown', 'line ends', '\n'.repeat(N)],
    ['html', 'tags that do not end', '<a'.repeat(N / 2)],
    ['html', 'elements in elements', '<div>'.repeat(N / 5)],
    ['html', 'marks in marks', '<b><i>'.repeat(N / 6)],
    ['html', 'lists in lists', '<ul><li>'.repeat(N / 8)],
    ['html', 'ends without a start', '</p>'.repeat(N / 4)],
    ['html', 'attributes', `<p ${'a=b '.repeat(N / 4)}>`],
    ['html', 'quotes that do not end', '<p a="'.repeat(N / 6)],
    ['html', 'comments that do not end', '<!--'.repeat(N / 4)],
    ['html', 'scripts that do not end', '<script>'.repeat(N / 8)],
    ['html', 'entities', '&amp'.repeat(N / 4)],
    ['html', 'numbers of characters', '&#x110000;&#0;&#xd800;'.repeat(N / 25)],
    ['html', 'a style that is long', `<span style="${'color:red;'.repeat(N / 10)}">x</span>`],
    ['html', 'blanks', `<p>${' '.repeat(N)}x</p>`],
  ];
  const slowest = { what: '', ms: 0 };

  test.each(PATTERNS)(
    '%s: %s',
    async (format, what, text) => {
      const { server, by_name } = callers;
      const begun = performance.now();
      const content = { format, value: text };
      const made = await server.call('POST', '/v1/documents', by_name.owner.token, { title: what, content });
      const ms = performance.now() - begun;
      if (ms > slowest.ms) Object.assign(slowest, { what: `${format}: ${what}`, ms });
      expect(made.status).toBeOneOf([201, 422]);
      expect(ms).toBeLessThan(SETTLES_MS_MAX);
      if (made.status !== 201) return;
      for (const out of ['delta', 'text', 'html', 'markdown']) {
        const read = await server.call(
          'GET',
          `/v1/documents/${made.body.data.id}/content?format=${out}`,
          by_name.owner.token,
        );
        expect([out, read.status]).toEqual([out, 200]);
      }
      expect(performance.now() - begun).toBeLessThan(2 * SETTLES_MS_MAX);
    },
    20_000,
  );

  afterAll(() => console.log(`the slowest import: ${slowest.what}, ${Math.round(slowest.ms)} ms`));
});
