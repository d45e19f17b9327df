import { describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { parseContent, renderContent, TEXT_FORMATS } from './formats.ts';
import { CONTENT_LIMITS } from './limits.ts';
import { drawDocument, forSeeds } from './testing.ts';

describe('content by format', () => {
  test('comes in from every format and goes out in every format', () => {
    const bold = [{ insert: 'x', attributes: { bold: true } }, { insert: '\n' }];
    expect(parseContent('delta', bold)).toEqual({ ok: true, ops: bold });
    expect(parseContent('text', 'x\n')).toEqual({ ok: true, ops: [{ insert: 'x\n' }] });
    expect(parseContent('markdown', '**x**')).toEqual({ ok: true, ops: bold });
    expect(parseContent('html', '<b>x</b>')).toEqual({ ok: true, ops: bold });
    expect(renderContent('delta', bold)).toBe(bold);
    expect(renderContent('text', bold)).toBe('x\n');
    expect(renderContent('markdown', bold)).toBe('**x**\n');
    expect(renderContent('html', bold)).toBe('<p><strong>x</strong></p>');
  });

  test('may be empty', () => {
    for (const format of TEXT_FORMATS)
      expect(parseContent(format, format === 'delta' ? [] : '')).toEqual({ ok: true, ops: [] });
  });

  test('is refused when it is of the wrong type, or holds NUL or a lone surrogate', () => {
    for (const format of ['text', 'markdown', 'html'] as const) {
      for (const value of [5, null, undefined, ['x'], {}]) {
        expect(parseContent(format, value)).toEqual({ ok: false, path: '', message: 'must be a string' });
      }
      expect(parseContent(format, 'a\0')).toEqual({ ok: false, path: '', message: 'must not contain NUL' });
      expect(parseContent(format, '\udc00')).toEqual({
        ok: false,
        path: '',
        message: 'must not contain a lone surrogate',
      });
    }
    expect(parseContent('delta', 'x')).toMatchObject({ ok: false, path: '' });
    expect(parseContent('delta', [{ insert: 'a' }, { delete: 1 }])).toMatchObject({ ok: false, path: '/1/delete' });
    expect(parseContent('delta', [{ insert: 'a\0' }])).toMatchObject({ ok: false, path: '/0/insert' });
  });

  test('as a delta is put in the form in which a Y.Text gives it back', () => {
    const ops = [
      { insert: 'a', attributes: {} },
      { insert: 'b' },
      { insert: 'c', attributes: { x: { a: 1 }, bold: null } },
      { insert: 'd', attributes: { x: { a: 1 } } },
      { insert: 'e', attributes: { x: { a: 2 } } },
      { insert: 'f', attributes: { y: 1 } },
      { insert: { image: 'g' }, attributes: { x: { a: 2 } } },
      { insert: { image: 'h' } },
    ];
    const expected = [
      { insert: 'ab' },
      { insert: 'cd', attributes: { x: { a: 1 } } },
      { insert: 'e', attributes: { x: { a: 2 } } },
      { insert: 'f', attributes: { y: 1 } },
      { insert: { image: 'g' }, attributes: { x: { a: 2 } } },
      { insert: { image: 'h' } },
    ];
    const parsed = parseContent('delta', ops);
    expect(parsed).toEqual({ ok: true, ops: expected });
    const text = new Y.Doc().getText('content');
    text.applyDelta(expected);
    expect(text.toDelta()).toEqual(expected);
  });

  test('survives a Y.Text and every round through its own format', () => {
    forSeeds(150, (random) => {
      const doc = drawDocument(random, 'html');
      const text = new Y.Doc().getText('content');
      text.applyDelta(doc);
      expect(text.toDelta()).toEqual(doc);
      const html = renderContent('html', text.toDelta());
      expect(parseContent('html', html)).toEqual({ ok: true, ops: doc });
    });
  });

  test('makes at most document_ops_max operations, whatever the format', () => {
    const most = CONTENT_LIMITS.document_ops_max;
    const message = `must not make a document of more than ${most} operations`;
    const html = `${'<b>a</b>b'.repeat(most / 2 - 1)}<b>a</b>`;
    expect(parseContent('html', html)).toMatchObject({ ok: true, ops: { length: most } });
    expect(parseContent('html', `${html}b<b>c</b>`)).toEqual({ ok: false, path: '', message });
    expect(parseContent('markdown', '**a** b\n\n'.repeat(most / 2 + 1))).toEqual({ ok: false, path: '', message });
  }, 60_000);
});
