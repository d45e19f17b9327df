import { describe, expect, test } from 'bun:test';
import { docLength } from './delta.ts';
import { drawWildDocument, forSeeds } from './testing.ts';
import { fromText, toText } from './text.ts';

describe('plain text', () => {
  test('comes back as it was', () => {
    for (const text of [
      '',
      'a',
      'a\n',
      '\n\n',
      ' a\tb ',
      '<b>&amp;</b> **x**',
      '😀\u00a0\u2028',
      'x'.repeat(1_000_000),
    ]) {
      expect(toText(fromText(text))).toBe(text);
    }
  });

  test('makes no op when it is empty, and one without attributes otherwise', () => {
    expect(fromText('')).toEqual([]);
    expect(fromText('a\nb')).toEqual([{ insert: 'a\nb' }]);
  });

  test('has line feeds alone for line ends', () => {
    expect(fromText('a\r\nb\rc\n\r')).toEqual([{ insert: 'a\nb\nc\n\n' }]);
  });

  test('shows an embed as U+FFFC', () => {
    expect(toText([{ insert: 'a' }, { insert: { image: 'x.png' }, attributes: { alt: 'y' } }, { insert: 'b\n' }])).toBe(
      'a\ufffcb\n',
    );
  });

  test('has U+FFFD for NUL and lone surrogates, and pairs that two ops tore are whole', () => {
    expect(toText([{ insert: 'a\0b\ud800' }, { insert: 'c\udc00' }])).toBe('a\ufffdb\ufffdc\ufffd');
    expect(toText([{ insert: '\ud83d' }, { insert: '\ude00', attributes: { bold: true } }])).toBe('😀');
    expect(fromText('\0\udc00')).toEqual([{ insert: '\ufffd\ufffd' }]);
  });

  test('is as long as the document, whatever that holds', () => {
    forSeeds(300, (random) => {
      const doc = drawWildDocument(random);
      const text = toText(doc);
      expect(text.length).toBe(docLength(doc));
      expect(text.isWellFormed() && !text.includes('\0')).toBe(true);
    });
  });
});
