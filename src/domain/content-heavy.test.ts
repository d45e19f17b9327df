import { describe, expect, test } from 'bun:test';
import type { DeltaOps } from '../protocol/content/delta.ts';
import { renderContent } from '../protocol/content/formats.ts';
import { ConcordError } from '../protocol/errors.ts';
import { importWherever, performHeavy, renderWherever } from './content-heavy.ts';
import { importContent } from './content-import.ts';

const LARGE = 'Otters **swim**.\n\n'.repeat(6_000);
const MANY = Array.from({ length: 6_000 }, (_, index) =>
  index % 2 === 0 ? { insert: 'a' } : { insert: 'b', attributes: { bold: true } },
);

describe('large content', () => {
  test('comes out of a thread as it would have here', async () => {
    const value = LARGE;
    const { state, text } = await importWherever({ format: 'markdown', value });
    const here = importContent({ format: 'markdown', value });
    expect([state.delta, text]).toEqual([here.state.delta, here.text]);
    expect(state.state).toBeInstanceOf(Uint8Array);
  });

  test('of many operations, or of few long ones, is large too', async () => {
    expect((await importWherever({ format: 'delta', value: MANY })).text).toBe('ab'.repeat(3_000));
    const value = [{ insert: LARGE }];
    expect((await importWherever({ format: 'delta', value })).text).toBe(LARGE);
  });

  test('that is refused on a thread is refused with the same path', async () => {
    const value = [...MANY, { retain: 1 }];
    await expect(importWherever({ format: 'delta', value })).rejects.toMatchObject({
      code: 'VALIDATION_ERROR',
      details: [{ path: '/content/value/6000/retain' }],
    });
  });

  test('is rendered on a thread as it would be here', async () => {
    const ops = [{ insert: 'Otters\n'.repeat(20_000) }];
    expect(await renderWherever('markdown', ops)).toBe(renderContent('markdown', ops));
    expect(await renderWherever('html', MANY)).toContain('<strong>b</strong>');
  });

  test('that breaks a thread is a bug here, and no refusal', async () => {
    // Ops that JSON turns into something that is none: no document is like that.
    const ops = [{ insert: LARGE }, { toJSON: () => null }] as unknown as DeltaOps;
    const failing = renderWherever('html', ops);
    await expect(failing).rejects.toThrow('work on large content failed');
    await expect(failing).rejects.not.toBeInstanceOf(ConcordError);
  });
});

describe('small content', () => {
  test('is worked on at once', async () => {
    expect((await importWherever({ format: 'text', value: 'Otters' })).text).toBe('Otters');
    expect((await importWherever({ format: 'delta', value: [{ insert: 'Otters' }] })).text).toBe('Otters');
    expect(await renderWherever('html', [{ insert: 'Otters\n' }])).toBe('<p>Otters</p>');
    expect(await renderWherever('delta', MANY)).toBe(MANY);
  });

  test('that is no content at all is refused', async () => {
    for (const value of [7, [null], [7]])
      await expect(importWherever({ format: 'delta', value })).rejects.toMatchObject({ code: 'VALIDATION_ERROR' });
  });
});

test('a task is done the same way on whatever thread, and a refusal is a value that can cross', () => {
  const done = performHeavy({ kind: 'import', content: { format: 'text', value: 'Otters' } });
  expect(done).toMatchObject({ ok: true, result: { text: 'Otters' } });
  expect(performHeavy({ kind: 'import', content: { format: 'text', value: 7 } })).toEqual({
    ok: false,
    issues: [{ path: '/content/value', message: 'must be a string' }],
  });
  const ops_json = JSON.stringify([{ insert: 'Otters\n' }]);
  expect(performHeavy({ kind: 'render', format: 'html', ops_json })).toEqual({ ok: true, result: '<p>Otters</p>' });
});

test('a task that fails for another reason than its content is a bug, not a refusal', () => {
  const content = { format: 'text', value: 'Otters' } as const;
  Object.defineProperty(content, 'value', {
    get() {
      throw new TypeError('a bug');
    },
  });
  expect(() => performHeavy({ kind: 'import', content })).toThrow('a bug');
});
