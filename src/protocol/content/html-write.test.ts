import { describe, expect, test } from 'bun:test';
import type { DeltaOps, JsonValue } from './delta.ts';
import { fromHtml } from './html-read.ts';
import { toHtml } from './html-write.ts';
import { drawDocument, drawWildDocument, forSeeds } from './testing.ts';
import { ATTACKS, decode, htmlFlaw } from './testing-html.ts';
import { EMBED_CHARACTER, printable } from './text.ts';

const line = (text: string, attributes: Record<string, JsonValue>): DeltaOps => [
  { insert: text },
  { insert: '\n', attributes },
];
const styled = (attributes: Record<string, JsonValue>) => toHtml([{ insert: 'x', attributes }, { insert: '\n' }]);
const LINK_END = 'rel="noopener noreferrer" target="_blank"';

describe('HTML output', () => {
  test('gives each line its element', () => {
    expect(toHtml([])).toBe('');
    expect(toHtml([{ insert: 'a\n\nb' }])).toBe('<p>a</p><p><br></p><p>b</p>');
    expect(toHtml(line('T', { header: 2 }))).toBe('<h2>T</h2>');
    expect(toHtml([...line('a', { blockquote: true }), ...line('b', { blockquote: true })])).toBe(
      '<blockquote><p>a</p><p>b</p></blockquote>',
    );
    expect(toHtml([{ insert: 'a', attributes: { bold: true } }, ...line(' <b', { 'code-block': 'js' })])).toBe(
      '<pre data-language="js"><code class="language-js">a &lt;b\n</code></pre>',
    );
    expect(toHtml([...line('a', { 'code-block': true }), ...line('b', { 'code-block': 'c++' }), { insert: 'c' }])).toBe(
      '<pre><code>a\n</code></pre><pre data-language="c++"><code class="language-c++">b\n</code></pre><p>c</p>',
    );
    expect(toHtml(line('a', { align: 'center', direction: 'rtl', indent: 2 }))).toBe(
      '<p class="ql-indent-2" dir="rtl" style="text-align: center">a</p>',
    );
  });

  test('nests lists by indent and keeps what kind of item each is', () => {
    const items = [
      ...line('a', { list: 'bullet' }),
      ...line('b', { list: 'ordered', indent: 1 }),
      ...line('c', { list: 'checked', indent: 1 }),
      ...line('d', { list: 'unchecked' }),
    ];
    expect(toHtml(items)).toBe(
      '<ul><li>a<ol><li>b</li></ol><ul><li data-list="checked">c</li></ul></li><li data-list="unchecked">d</li></ul>',
    );
    expect(toHtml(line('a', { list: 'ordered', indent: 1 }))).toBe(
      '<ul><li style="list-style-type: none"><ol><li>a</li></ol></li></ul>',
    );
  });

  test('does not let an item pass its alignment on to the items within', () => {
    const doc = [
      ...line('a', { list: 'bullet', align: 'right', direction: 'rtl' }),
      ...line('b', { list: 'bullet', indent: 1 }),
    ];
    expect(toHtml(doc)).toContain('<li dir="ltr" style="text-align: start">b</li>');
    expect(fromHtml(toHtml(doc))).toEqual(doc);
  });

  test.each([
    [{ bold: true }, '<strong>x</strong>'],
    [{ italic: true, underline: true, strike: true, code: true }, '<em><u><s><code>x</code></s></u></em>'],
    [{ script: 'sub' }, '<sub>x</sub>'],
    [{ script: 'super' }, '<sup>x</sup>'],
    [
      { color: '#f00', background: 'rgb(1, 2, 3)' },
      '<span style="color: #f00; background-color: rgb(1, 2, 3)">x</span>',
    ],
    [{ size: 'huge', font: 'serif' }, '<span class="ql-font-serif ql-size-huge">x</span>'],
    [
      { size: '18px', font: 'Arial, sans-serif' },
      '<span style="font-family: Arial, sans-serif; font-size: 18px">x</span>',
    ],
    [{ link: 'http://a/?b&c' }, `<a href="http://a/?b&amp;c" ${LINK_END}>x</a>`],
    [{ bold: false, italic: null, underline: 0, code: '' }, 'x'],
    [{ color: 'red;x:y', background: 'url(x)', font: "a'b", size: '9vw 1', script: 'x', link: 'javascript:x' }, 'x'],
    [{ onclick: 'alert(1)', style: 'x', '"><script>': 1, constructor: 1 }, 'x'],
  ])('writes %j as %s', (attributes, html) => {
    expect(styled(attributes)).toBe(`<p>${html}</p>`);
  });

  test('keeps an element open over runs that share it', () => {
    const doc = [
      { insert: 'a', attributes: { link: '/x' } },
      { insert: 'b', attributes: { link: '/x', bold: true } },
      { insert: 'c', attributes: { bold: true } },
    ];
    expect(toHtml(doc)).toBe(`<p><a href="/x" ${LINK_END}>a<strong>b</strong></a><strong>c</strong></p>`);
  });

  test('shows pictures, formulas, videos and dividers', () => {
    const doc: DeltaOps = [
      { insert: { image: 'a.png' }, attributes: { alt: '"A"', width: 100, height: '50%', link: '/x' } },
      { insert: { formula: 'a<b' } },
      { insert: { divider: true } },
      { insert: 'x' },
      { insert: { video: 'https://v/w?a&b' } },
      { insert: '\n' },
    ];
    expect(toHtml(doc)).toBe(
      `<p><a href="/x" ${LINK_END}><img src="a.png" alt="&quot;A&quot;" width="100" height="50%"></a>` +
        '<span class="ql-formula" data-value="a&lt;b">a&lt;b</span></p><hr><p>x</p>' +
        `<p><a class="ql-video" href="https://v/w?a&amp;b" ${LINK_END}>https://v/w?a&amp;b</a></p>`,
    );
  });

  test('puts U+FFFC where an embed is unknown, misshapen or would fetch something bad', () => {
    for (const embed of [
      { mention: 1 },
      { image: 'javascript:x' },
      { video: 'data:x' },
      { formula: '' },
      { formula: 1 },
      {},
    ]) {
      expect(toHtml([{ insert: embed as { [name: string]: JsonValue } }])).toBe(`<p>${EMBED_CHARACTER}</p>`);
    }
    for (const insert of [[], 5, true, { divider: false, image: '' }]) {
      expect(toHtml([{ insert }] as unknown as DeltaOps)).toBe(`<p>${EMBED_CHARACTER}</p>`);
    }
  });

  test('says so where white space counts, and nowhere else', () => {
    expect(toHtml([{ insert: 'a b\n' }])).toBe('<p>a b</p>');
    for (const text of [' a', 'a ', 'a  b', 'a\tb', ' ']) {
      expect(toHtml([{ insert: `${text}\n` }])).toBe(`<p style="white-space: pre-wrap">${text}</p>`);
    }
    expect(toHtml([{ insert: 'a ' }, { insert: ' b\n', attributes: { bold: true } }])).toContain('pre-wrap');
    expect(toHtml([{ insert: { image: 'a' } }, { insert: ' b\n' }])).not.toContain('pre-wrap');
  });

  test('counts a line as one kind only and clamps its indent', () => {
    expect(toHtml(line('a', { list: 'bullet', header: 1, blockquote: true }))).toBe('<ul><li>a</li></ul>');
    expect(toHtml(line('a', { header: 1, blockquote: true }))).toBe('<h1>a</h1>');
    expect(toHtml(line('a', { header: 7, list: 'x', align: 'left', indent: -1 }))).toBe('<p>a</p>');
    expect(toHtml(line('a', { indent: 1e9 }))).toBe('<p class="ql-indent-8">a</p>');
    expect(toHtml(line('a', { list: 'bullet', indent: 1e9 })).split('<ul>').length).toBe(10);
  });

  test('ends a line at every kind of line end and shows U+FFFD for what HTML forbids', () => {
    expect(toHtml([{ insert: 'a\r\nb\rc\0\u0001\ud800' }])).toBe('<p>a</p><p>b</p><p>c\ufffd\ufffd\ufffd</p>');
  });

  test('leaves out the empty line that editors keep behind an embed at the end, and no other', () => {
    expect(toHtml([{ insert: { divider: true } }, { insert: '\n' }])).toBe('<hr>');
    expect(toHtml([{ insert: { divider: true } }, { insert: '\n\n' }])).toBe('<hr><p><br></p><p><br></p>');
    expect(toHtml([{ insert: { divider: true } }, { insert: '\na' }])).toBe('<hr><p><br></p><p>a</p>');
    expect(toHtml([{ insert: { divider: true } }, { insert: '\n', attributes: { list: 'bullet' } }])).toBe(
      '<hr><ul><li><br></li></ul>',
    );
  });

  test('reads back as the document it was written from', () => {
    forSeeds(2_000, (random) => {
      const doc = drawDocument(random, 'html');
      const html = toHtml(doc);
      expect(htmlFlaw(html)).toBeNull();
      expect(fromHtml(html)).toEqual(doc);
    });
  });

  test('is well formed and harmless for every document, loses no text, and is settled after one round', () => {
    forSeeds(2_000, (random) => {
      const doc = drawWildDocument(random);
      const html = toHtml(doc);
      expect(htmlFlaw(html)).toBeNull();
      expect(toHtml(fromHtml(html))).toBe(html);
      const texts = doc.filter(({ insert }) => typeof insert === 'string');
      const shown = decode(toHtml(texts).replace(/<[^>]*>/g, ''));
      const words = texts.map(({ insert }) => printable(String(insert))).join('');
      expect(shown?.replaceAll('\n', '')).toBe(words.replaceAll('\n', ''));
    });
  });

  test('makes nothing of an attack, wherever in a document it stands', () => {
    for (const attack of ATTACKS) {
      const attributes: Record<string, JsonValue> = {};
      for (const name of [
        'link',
        'color',
        'background',
        'font',
        'size',
        'script',
        'alt',
        'width',
        'height',
        'header',
      ]) {
        attributes[name] = attack;
      }
      for (const name of ['list', 'indent', 'align', 'direction', 'code-block', attack]) attributes[name] = attack;
      const embeds = ['image', 'video', 'formula', 'divider', attack].map((name) => ({
        insert: { [name]: attack },
        attributes,
      }));
      const html = toHtml([{ insert: attack }, { insert: `${attack}\n`, attributes }, ...embeds]);
      expect(htmlFlaw(html)).toBeNull();
    }
  });
});
