import { describe, expect, test } from 'bun:test';
import MarkdownIt from 'markdown-it';
import type { DeltaOps, JsonValue } from './delta.ts';
import { fromMarkdown } from './markdown-read.ts';
import { toMarkdown } from './markdown-write.ts';
import { drawDocument, drawText, drawWildDocument, forSeeds } from './testing.ts';
import { ATTACKS } from './testing-html.ts';
import { toText } from './text.ts';

const line = (text: string, attributes: Record<string, JsonValue>): DeltaOps => [
  { insert: text },
  { insert: '\n', attributes },
];
const marked = (text: string, attributes: Record<string, JsonValue>) => toMarkdown([{ insert: text, attributes }]);

/** What a parser that takes raw HTML and refuses no address makes of it: the worst reader there is. */
const worst = new MarkdownIt({ html: true });
worst.validateLink = () => true;

function expectHarmless(markdown: string): void {
  for (const block of worst.parse(markdown, {})) {
    if (block.type === 'html_block') expect(block.content).toMatch(/^<br>\n*$/);
    for (const token of block.children ?? []) {
      if (token.type === 'html_inline') expect(token.content).toBe('<br>');
      for (const name of ['href', 'src']) {
        const address = String(token.attrGet(name) ?? '');
        if (token.type === 'image' && /^data:image\/(png|jpeg|gif);base64,/.test(address)) continue;
        expect(address).toMatch(/^$|^(https?|mailto|tel|sms):|^[^:&\\]*($|[/?#])/i);
      }
    }
  }
}

describe('Markdown output', () => {
  test('gives each line a block', () => {
    expect(toMarkdown([])).toBe('');
    expect(toMarkdown([{ insert: 'a\n\nb' }])).toBe('a\n\n<br>\n\nb\n');
    expect(toMarkdown(line('T', { header: 3 }))).toBe('### T\n');
    expect(toMarkdown([...line('a', { blockquote: true }), ...line('b', { blockquote: true })])).toBe('> a\n>\n> b\n');
    expect(toMarkdown([...line('a', { 'code-block': 'js' }), ...line(' *b', { 'code-block': 'js' })])).toBe(
      '```js\na\n *b\n```\n',
    );
    expect(toMarkdown([...line('a', { 'code-block': true }), ...line('````', { 'code-block': 'x' })])).toBe(
      '```\na\n```\n\n`````x\n````\n`````\n',
    );
    expect(toMarkdown([{ insert: 'a' }, { insert: { divider: true } }, { insert: 'b' }])).toBe('a\n\n---\n\nb\n');
  });

  test('nests and numbers lists by indent', () => {
    const items = [
      ...line('a', { list: 'ordered' }),
      ...line('b', { list: 'ordered' }),
      ...line('c', { list: 'bullet', indent: 1 }),
      ...line('d', { list: 'checked', indent: 1 }),
      ...line('e', { list: 'ordered' }),
      ...line('f', { list: 'unchecked' }),
    ];
    expect(toMarkdown(items)).toBe('1. a\n2. b\n   - c\n   - [x] d\n3. e\n\n- [ ] f\n');
    expect(toMarkdown(line('a', { list: 'bullet', indent: 2 }))).toBe('- - - a\n');
    const ten = Array.from({ length: 10 }, (_, i) => line(String(i), { list: 'ordered' })).flat();
    expect(toMarkdown([...ten, ...line('x', { list: 'bullet', indent: 1 })])).toEndWith('10. 9\n    - x\n');
  });

  test('parts an empty item from the list within it, which raw HTML would swallow', () => {
    const doc = [{ insert: '\n', attributes: { list: 'bullet' } }, ...line('a', { list: 'bullet', indent: 1 })];
    expect(toMarkdown(doc)).toBe('- <br>\n\n  - a\n');
    expect(fromMarkdown(toMarkdown(doc))).toEqual(doc);
  });

  test.each([
    [{ bold: true, italic: true, strike: true }, '**_~~x~~_**'],
    [{ code: true, bold: true }, '**`x`**'],
    [{ link: 'http://a/b_c' }, '[x](http://a/b_c)'],
    [{ link: 'http://a/(b) c&<>' }, '[x](<http://a/(b) c\\&\\<\\>>)'],
    [{ link: 'javascript:alert(1)' }, 'x'],
    [{ underline: true, color: 'red', size: 'huge', script: 'sub', x: 1 }, 'x'],
  ])('writes %j as %s', (attributes, markdown) => {
    expect(marked('x', attributes as Record<string, JsonValue>)).toBe(`${markdown}\n`);
  });

  test('has no formatting for code, which needs a fence longer than what is in it', () => {
    expect(marked('a', { code: true })).toBe('`a`\n');
    expect(marked('a``b', { code: true })).toBe('```a``b```\n');
    expect(marked('`a', { code: true })).toBe('`` `a ``\n');
    expect(marked(' ', { code: true })).toBe('` `\n');
    expect(marked(' a ', { code: true })).toBe('`  a  `\n');
  });

  test('shows pictures, formulas and videos, and U+FFFC for the rest', () => {
    const doc: DeltaOps = [
      { insert: { image: 'a.png' }, attributes: { alt: '[A]\n', link: '/x' } },
      { insert: { formula: 'a`b' } },
      { insert: { mention: 1 } },
      { insert: { video: 'https://v/w_x*' } },
    ];
    expect(toMarkdown(doc)).toBe('[![\\[A\\] ](a.png)](/x)$``a`b``$\ufffc\n\n[https://v/w\\_x\\*](<https://v/w_x*>)\n');
  });

  test.each([
    ['# a', '\\# a'],
    ['- a', '\\- a'],
    ['-a', '-a'],
    ['+', '\\+'],
    ['---', '\\---'],
    ['> a', '\\> a'],
    ['1. a', '1\\. a'],
    ['12) a', '12\\) a'],
    ['1.5', '1.5'],
    ['a # b - c > 1. d', 'a # b - c > 1. d'],
    ['snake_case_name', 'snake_case_name'],
    ['_a_ *b* `c` ~d~', '\\_a\\_ \\*b\\* \\`c\\` \\~d\\~'],
    ['AT&T &amp; &#1; &x', 'AT&T \\&amp; \\&#1; &x'],
    ['[a](b) <b>', '\\[a\\](b) \\<b>'],
    [' a\t', '&#32;a&#9;'],
    ['a!', 'a!'],
    ['a\\', 'a\\\\'],
  ])('escapes %j as %j, which is read as it was', (text, markdown) => {
    expect(toMarkdown([{ insert: text }])).toBe(`${markdown}\n`);
    expect(toText(fromMarkdown(markdown))).toBe(`${text}\n`);
  });

  test('protects delimiters from what stands beside them', () => {
    const bold = (text: string) => ({ insert: text, attributes: { bold: true } });
    expect(toMarkdown([{ insert: 'a' }, bold('b'), { insert: 'c' }])).toBe('a**b**c\n');
    expect(toMarkdown([{ insert: 'a' }, bold(' b '), { insert: 'c' }])).toBe('&#97;**&#32;b&#32;**&#99;\n');
    expect(toMarkdown([{ insert: 'a' }, { insert: 'b', attributes: { italic: true } }])).toBe('&#97;_b_\n');
    expect(toMarkdown([{ insert: 'a!' }, { insert: 'b', attributes: { link: '/x' } }])).toBe('a\\![b](/x)\n');
    expect(toMarkdown([{ insert: '$' }, { insert: 'b', attributes: { code: true } }, { insert: '$' }])).toBe(
      '\\$`b`$\n',
    );
    expect(toMarkdown([{ insert: 'C#' }, { insert: '\n', attributes: { header: 1 } }])).toBe('# C\\#\n');
  });

  test('reads back as the document it was written from', () => {
    forSeeds(3_000, (random) => {
      const doc = drawDocument(random, 'markdown');
      expect(fromMarkdown(toMarkdown(doc))).toEqual(doc);
    });
  });

  test('reads plain text back as the same plain text', () => {
    forSeeds(2_000, (random) => {
      const text = `${drawText(random)}\n${drawText(random)}${drawText(random)}\n\n${drawText(random)}\n`;
      expect(fromMarkdown(toMarkdown([{ insert: text }]))).toEqual([{ insert: text }]);
    });
  });

  test('is harmless for every document and settled after one round', () => {
    forSeeds(1_500, (random) => {
      const markdown = toMarkdown(drawWildDocument(random));
      expectHarmless(markdown);
      expect(toMarkdown(fromMarkdown(markdown))).toBe(markdown);
    });
  });

  test('makes nothing of an attack, wherever in a document it stands', () => {
    for (const attack of ATTACKS) {
      const attributes = { link: attack, alt: attack, 'code-block': false, bold: true };
      const embeds = ['image', 'video', 'formula'].map((name) => ({ insert: { [name]: attack }, attributes }));
      for (const block of ['list', 'header', 'x']) {
        const doc = [
          { insert: attack },
          { insert: attack, attributes },
          ...embeds,
          { insert: '\n', attributes: { [block]: 1 } },
        ];
        expectHarmless(toMarkdown(doc));
      }
      expectHarmless(toMarkdown([{ insert: attack }, { insert: '\n', attributes: { 'code-block': attack } }]));
    }
  });
});
