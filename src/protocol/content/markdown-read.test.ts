import { describe, expect, test } from 'bun:test';
import { systemClock } from '../../base/clock.ts';
import type { DeltaOps, JsonValue } from './delta.ts';
import { toHtml } from './html-write.ts';
import { CONTENT_LIMITS } from './limits.ts';
import { fromMarkdown } from './markdown-read.ts';
import { toMarkdown } from './markdown-write.ts';
import { drawDocument, drawText, forSeeds, pick } from './testing.ts';
import { ATTACKS, htmlFlaw } from './testing-html.ts';
import { toText } from './text.ts';

const text = (markdown: string) => toText(fromMarkdown(markdown));
const line = (content: string, attributes: Record<string, JsonValue>): DeltaOps => [
  { insert: content },
  { insert: '\n', attributes },
];

describe('Markdown import', () => {
  test.each<[string, DeltaOps]>([
    ['', []],
    ['\n \n', []],
    ['a\nb\n\nc', [{ insert: 'a b\nc\n' }]],
    ['a  \nb\\\nc<br>d<BR />\n\n<br>', [{ insert: 'a\nb\nc\nd\n\n' }]],
    ['a\r\nb\rc', [{ insert: 'a b c\n' }]],
    ['# A\n\nB\n===\nC\n---', [...line('A', { header: 1 }), ...line('B', { header: 1 }), ...line('C', { header: 2 })]],
    ['#', [{ insert: '\n', attributes: { header: 1 } }]],
    ['> a\n> b\n>\n> c', [...line('a b', { blockquote: true }), ...line('c', { blockquote: true })]],
    ['>', [{ insert: '\n', attributes: { blockquote: true } }]],
    [
      '    a\n\n    b',
      [{ insert: 'a' }, { insert: '\n\n', attributes: { 'code-block': true } }, ...line('b', { 'code-block': true })],
    ],
    ['```js x\na\n```', line('a', { 'code-block': 'js' })],
    ['~~~{.c}\na', line('a', { 'code-block': true })],
    ['```', [{ insert: '\n', attributes: { 'code-block': true } }]],
    ['a\n\n***\nb', [{ insert: 'a\n' }, { insert: { divider: true } }, { insert: 'b\n' }]],
    ['---', [{ insert: { divider: true } }, { insert: '\n' }]],
    [
      '- a\n  - b\n1. c',
      [
        ...line('a', { list: 'bullet' }),
        ...line('b', { list: 'bullet', indent: 1 }),
        ...line('c', { list: 'ordered' }),
      ],
    ],
    [
      '- [ ] a\n- [x] b\n- [X]\n- [y] c',
      [
        ...line('a', { list: 'unchecked' }),
        { insert: 'b' },
        { insert: '\n\n', attributes: { list: 'checked' } },
        ...line('[y] c', { list: 'bullet' }),
      ],
    ],
    ['-\n- - a', [{ insert: '\n', attributes: { list: 'bullet' } }, ...line('a', { list: 'bullet', indent: 1 })]],
    ['- a\n\n  b', [...line('a', { list: 'bullet' }), ...line('b', { list: 'bullet' })]],
    ['- > a\n- # b', [...line('a', { blockquote: true }), ...line('b', { header: 1 })]],
    ['> - a', line('a', { list: 'bullet' })],
    [
      '|a|b|\n|-|-|\n|`c`|d<br>e',
      [{ insert: 'a\tb\n' }, { insert: 'c', attributes: { code: true } }, { insert: '\td e\n' }],
    ],
    ['<b>a</b> <br x>', [{ insert: '<b>a</b> <br x>\n' }]],
    [
      '<div>\n*a*\n</div>',
      [{ insert: '<div> ' }, { insert: 'a', attributes: { italic: true } }, { insert: ' </div>\n' }],
    ],
    ['&amp;&#35;\\*\\a', [{ insert: '&#*\\a\n' }]],
    ['a\0\ud800', [{ insert: 'a\ufffd\ufffd\n' }]],
  ])('%j', (markdown, doc) => {
    expect(fromMarkdown(markdown)).toEqual(doc);
  });

  test.each<[string, Record<string, JsonValue> | undefined]>([
    ['**x**', { bold: true }],
    ['__x__', { bold: true }],
    ['*x*', { italic: true }],
    ['***x***', { bold: true, italic: true }],
    ['**a *x* b**', { bold: true, italic: true }],
    ['~~x~~', { strike: true }],
    ['`x`', { code: true }],
    ['**`x`**', { bold: true, code: true }],
    ['[x](/a "title")', { link: '/a' }],
    ['[x](</a b>)', { link: '/a b' }],
    ['[x][Y]\n\n[y]: /a', { link: '/a' }],
    ['[x]\n\n[X]: /ü', { link: '/ü' }],
    ['[x](javascript:alert(1))', undefined],
    ['[x][y]\n\n[y]: javascript:alert(1)', undefined],
    ['[x][__proto__]', undefined],
  ])('%j makes x %j', (markdown, attributes) => {
    const found = fromMarkdown(markdown).find(
      ({ insert }) => typeof insert === 'string' && insert.startsWith(attributes ? 'x' : ''),
    );
    expect(found?.attributes).toEqual(attributes as never);
  });

  test('an address in angle brackets is a link, one without is text', () => {
    expect(fromMarkdown('<http://a> http://b')).toEqual([
      { insert: 'http://a', attributes: { link: 'http://a' } },
      { insert: ' http://b\n' },
    ]);
  });

  test('pictures keep their description, and become it when the address is bad', () => {
    expect(fromMarkdown('![a *b* ![c\nd](e)](f.png "t")')[0]).toEqual({
      insert: { image: 'f.png' },
      attributes: { alt: 'a b c d' },
    });
    expect(fromMarkdown('![](f.png)')[0]).toEqual({ insert: { image: 'f.png' } });
    expect(fromMarkdown('**![a](javascript:x)**')[0]).toEqual({ insert: 'a', attributes: { bold: true } });
  });

  test('formulas are code spans between unescaped dollar signs', () => {
    const formula = (tex: string) => ({ insert: { formula: tex } });
    expect(fromMarkdown('a$`x`$b $`y`$$`z`$')).toEqual([
      { insert: 'a' },
      formula('x'),
      { insert: 'b ' },
      formula('y'),
      formula('z'),
      { insert: '\n' },
    ]);
    for (const plain of ['\\$`x`$', '$`x`\\$', '$`x` $', '`x`$', '$` `$']) {
      expect(fromMarkdown(plain).some(({ insert }) => typeof insert !== 'string')).toBe(false);
    }
  });

  test('makes harmless documents of attacks', () => {
    for (const attack of ATTACKS) {
      for (const markdown of [attack, `- ${attack}`, `[x](${attack})`, `![${attack}](x)`, `| a |\n|-|\n| ${attack}`]) {
        const doc = fromMarkdown(markdown);
        expect(htmlFlaw(toHtml(doc))).toBeNull();
        expect(JSON.stringify(doc)).not.toMatch(/"(?:link|image)":"\s*(?:java|vb)script/i);
      }
    }
  });

  test('takes any Markdown, and its result is settled', () => {
    const starts = ['# ', '> ', '- ', '1. ', '    ', '```\n', '\n', '', '', '|', '---\n', '  - ', '- [x] ', '> > '];
    forSeeds(2_000, (random) => {
      let markdown = '';
      for (let i = 0; i < 8; i += 1)
        markdown += `${pick(random, starts)}${drawText(random)}${pick(random, ['\n', '\n\n', '  \n', ''])}`;
      const doc = fromMarkdown(markdown);
      expect(fromMarkdown(toMarkdown(doc))).toEqual(doc);
    });
  });
});

describe('Markdown import, large and deep', () => {
  test('what spans many windows is read as a whole', () => {
    let doc: DeltaOps = [];
    forSeeds(150, (random) => {
      doc = [
        ...doc,
        ...drawDocument(random, 'markdown'),
        { insert: 'x'.repeat(2_000) },
        { insert: '\n', attributes: { header: 1 } },
      ];
    });
    const markdown = toMarkdown(doc);
    expect(markdown.length).toBeGreaterThan(4 * CONTENT_LIMITS.markdown_window_chars);
    expect(toMarkdown(fromMarkdown(markdown))).toBe(markdown);
  }, 30_000);

  test('one block that is larger than a window stays one', () => {
    const lines = `${'a\n'.repeat(CONTENT_LIMITS.markdown_window_chars)}b`;
    expect(text(`\`\`\`\n${lines}\n\`\`\`\n\nc`)).toBe(`${lines}\nc\n`);
    const words = `${'word '.repeat(CONTENT_LIMITS.markdown_window_chars)}end`;
    expect(text(words)).toBe(`${words}\n`);
    expect(text(`\n${' \n'.repeat(CONTENT_LIMITS.markdown_window_chars)}a`)).toBe('a\n');
  }, 30_000);

  test('a list of more tokens than markdown_block_tokens_max is cut between its items, where nothing is lost', () => {
    const items = Array.from({ length: CONTENT_LIMITS.markdown_block_tokens_max / 4 }, (_, i) =>
      line(`item ${i}`, { list: 'bullet' }),
    );
    expect(fromMarkdown(toMarkdown(items.flat()))).toEqual(items.flat());
    const nested = `- a\n${'  - b\n'.repeat(CONTENT_LIMITS.markdown_block_tokens_max / 4)}`;
    expect(text(nested).length).toBe(2 + 2 * (CONTENT_LIMITS.markdown_block_tokens_max / 4));
  }, 30_000);

  test('a link may be defined windows away from its use, before or behind', () => {
    const filler = 'filler\n\n'.repeat(CONTENT_LIMITS.markdown_window_chars / 4);
    const linked = { insert: 'x', attributes: { link: '/a' } };
    expect(fromMarkdown(`[x][y]\n\n${filler}[y]: /a`)[0]).toEqual(linked);
    expect(fromMarkdown(`[y]: /a\n'title'\n\n${filler}[x][y]`).at(-2)).toEqual(linked);
    const definitions = Array.from({ length: 10_000 }, (_, i) => `[y${i}]: /a${i}`).join('\n');
    expect(fromMarkdown(`${definitions}\n\n[x][y9999]`)[0]).toEqual({ insert: 'x', attributes: { link: '/a9999' } });
  }, 30_000);

  test('the inline marks of a block work up to markdown_inline_chars_max; a longer one is cut where no escape is torn', () => {
    const most = CONTENT_LIMITS.markdown_inline_chars_max;
    const bold = (length: number) => fromMarkdown(`**${'x'.repeat(length - 4)}**`)[0]?.attributes;
    expect(bold(most)).toEqual({ bold: true });
    expect(bold(most + 1)).toBeUndefined();
    for (const unit of ['\\*', '*a* ', '&lt;', '😀', 'a\\\\', '<\n']) {
      const plain = unit.repeat(Math.ceil((most * 2.2) / unit.length));
      for (const shift of ['', 'x']) {
        const doc = [{ insert: `${shift}${plain.replaceAll('\n', '')}\n` }];
        expect(fromMarkdown(toMarkdown(doc))).toEqual(doc);
      }
    }
  }, 30_000);

  test('containers nest markdown_depth_max deep; what is deeper is text, and none is lost', () => {
    const most = CONTENT_LIMITS.markdown_depth_max;
    expect(fromMarkdown(`${'> '.repeat(most)}**x**`)[0]).toEqual({ insert: 'x', attributes: { bold: true } });
    expect(text(`${'> '.repeat(most + 1)}**x**\ny`)).toBe('**x**\ny\n');
    expect(fromMarkdown(`${'- '.repeat(most / 2)}**x**`)[0]).toEqual({ insert: 'x', attributes: { bold: true } });
    expect(text(`${'- '.repeat(most / 2 + 1)}**x**\n\ny`)).toBe('**x**\n\ny\n');
    expect(text(`${'> '.repeat(100_000)}x`)).toEndWith('> x\n');
    expect(text(`${'- '.repeat(100_000)}x`)).toEndWith('- x\n');
  });

  test('brackets nest markdown_brackets_max deep; what is deeper is text', () => {
    const nestedLink = (depth: number) => fromMarkdown(`${'['.repeat(depth)}x${']'.repeat(depth)}(/a)`)[0];
    const most = CONTENT_LIMITS.markdown_brackets_max;
    expect(nestedLink(most)?.attributes).toEqual({ link: '/a' });
    expect(nestedLink(most + 1)?.attributes).toBeUndefined();
    expect(text('['.repeat(50_000))).toBe(`${'['.repeat(50_000)}\n`);
  });

  test('takes time in proportion to the input, whatever that is made of', () => {
    const blocks = [
      '- ',
      '> ',
      '-\n',
      '1. a\n',
      'a\n',
      'a\n\n',
      '# \n',
      '>\n\n',
      '[a]: b\n',
      '[a]: b "\n',
      '```\n',
      '\t',
      '|a|\n|-|\n',
    ];
    const inlines = [
      '*',
      '_a ',
      'a**b',
      '![',
      '[',
      '[a](',
      '[]',
      '`a',
      '``` ',
      '<',
      '<a:',
      '&',
      '&#1',
      '\\',
      '~~',
      '](',
      '[a][',
      '$`a`$',
    ];
    for (const unit of [...blocks, ...inlines, '**_~~', '<br>', '[](<a ', ' ', '*a_ ']) {
      const started = systemClock.monotonic();
      fromMarkdown(`> a\n\n${unit.repeat(Math.ceil(80_000 / unit.length))}b`);
      expect(systemClock.monotonic() - started).toBeLessThan(2_000);
    }
  }, 30_000);
});
