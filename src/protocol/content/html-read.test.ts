import { describe, expect, test } from 'bun:test';
import { systemClock } from '../../base/clock.ts';
import type { DeltaOps } from './delta.ts';
import { fromHtml } from './html-read.ts';
import { toHtml } from './html-write.ts';
import { CONTENT_LIMITS } from './limits.ts';
import { drawText, forSeeds, pick } from './testing.ts';
import { ATTACKS, htmlFlaw } from './testing-html.ts';
import { toText } from './text.ts';

const text = (html: string) => toText(fromHtml(html));
const op = (html: string) => fromHtml(html)[0];

describe('HTML import, lines', () => {
  test.each([
    ['', ''],
    ['a', 'a\n'],
    ['<p>a</p><p>b</p>', 'a\nb\n'],
    ['<p>a<p>b', 'a\nb\n'],
    ['a<div>b<div>c</div></div>d', 'a\nb\nc\nd\n'],
    ['<p></p><div> </div>', ''],
    ['<p><br></p>', '\n'],
    ['a<br>b<br></br>', 'a\nb\n\n'],
    ['<p>a<br></p><p>b</p>', 'a\nb\n'],
    [' a \n\t b <b> c</b> d ', 'a b c d\n'],
    ['<p> a <b> </b> b </p>', 'a b\n'],
    ['a<b> </b>', 'a\n'],
    ['<pre>\n a\n\n  b</pre>', ' a\n\n  b\n'],
    ['<p style="white-space: pre-wrap"> a  b </p>\n<p>c </p>', ' a  b \nc\n'],
    ['<div style="white-space: pre-wrap">\n<p>a\nb</p>\n</div>', 'a\nb\n'],
    ['<div style="white-space: pre"><p style="white-space: normal"> a  b</p></div>', 'a b\n'],
    ['&amp;lt; &lt;b&gt; &eacute;&#128512;&#x41;&copy;&notin;&nope;', '&lt; <b> é😀A©∉&nope;\n'],
    ['a&#13;b&#0;c&#xd800;', 'a b\ufffdc\ufffd\n'],
    ['a\r\nb\0\ud800', 'a b\ufffd\ufffd\n'],
    ['<table><tr><td>a<td> b <tr><th><p>c</p><p>d</p><td></table>e', 'a\tb\nc d\t\ne\n'],
    ['<table><caption>t</caption><tbody><tr><td>a<br>b<pre>c\nd</pre></td></tr></table>', 't\na b c d\n'],
    ['<table><tr><td><ul><li>a<li></ul><table><tr><td>b</table></table>c', 'a b\nc\n'],
    ['<td>a</td>b', 'ab\n'],
    ['<!doctype html><html><head><title>t</title><style>s</style></head><body>a</body></html>', 'a\n'],
    ['<head><meta charset=utf-8><link rel=x>a', 'a\n'],
    ['a<script>b</script>c<!-- d -->e<style>f</style><template><p>g</template>', 'ace\n'],
    ['a<svg><svg></svg>b</svg>c<svg/>d', 'acd\n'],
    ['a<script/>b</script>c', 'ac\n'],
    ['a<textarea>b</textarea><select><option>c</select>d', 'ad\n'],
    ['a<svg>b', 'a\n'],
    ['<p>a</div></p></b>b', 'a\nb\n'],
    ['<dl><dt>a<dd>b<dt>c</dl>', 'a\nb\nc\n'],
    ['<unknown>a</unknown><x-y>b</x-y>', 'ab\n'],
    ['a < b <3 <', 'a < b <3 <\n'],
    ['<p>a<table><tr><td>b</p>c</td></tr></table>', 'a\nbc\n'],
  ])('%j is read as %j', (html, expected) => {
    expect(text(html)).toBe(expected);
  });
});

describe('HTML import, formatting', () => {
  test.each([
    ['<b>x</b>', { bold: true }],
    ['<strong><i>x</i></strong>', { bold: true, italic: true }],
    ['<em><u>x</u></em>', { italic: true, underline: true }],
    ['<ins><s>x</s></ins>', { underline: true, strike: true }],
    ['<del>x</del>', { strike: true }],
    ['<strike>x</strike>', { strike: true }],
    ['<code>x</code>', { code: true }],
    ['<kbd>x</kbd>', { code: true }],
    ['<sub>x</sub>', { script: 'sub' }],
    ['<sup>x</sup>', { script: 'super' }],
    ['<a href="http://a/?b&amp;c">x</a>', { link: 'http://a/?b&c' }],
    ['<a href=/a>x</a>', { link: '/a' }],
    ['<a HREF="/a" href="/b">x</a>', { link: '/a' }],
    ['<font color=red face="Arial">x</font>', { color: 'red', font: 'Arial' }],
    ['<span style="color: #F00; BACKGROUND: blue !important">x</span>', { color: '#F00', background: 'blue' }],
    [
      '<span style="font-family: \'Times New Roman\', serif; font-size: 12pt">x</span>',
      { font: 'Times New Roman, serif', size: '12pt' },
    ],
    ['<span class="a ql-size-huge  ql-font-serif">x</span>', { size: 'huge', font: 'serif' }],
    ['<span style="font-weight: 700; font-style: italic">x</span>', { bold: true, italic: true }],
    ['<b style="font-weight: normal">x</b>', undefined],
    ['<em style="font-style:normal">x</em>', undefined],
    ['<span style="text-decoration: underline line-through">x</span>', { underline: true, strike: true }],
    ['<span style="vertical-align: super">x</span>', { script: 'super' }],
    ['<span style="color; font-size: large; :; color: url(x)">x</span>', undefined],
    ['<a>x</a>', undefined],
    ['<a href="javascript:alert(1)">x</a>', undefined],
    ['<span onclick="x" data-x="y" style="position: fixed">x</span>', undefined],
    ['<b><i>y</b>x</i>', undefined],
  ])('%s makes x %j', (html, attributes) => {
    const doc = fromHtml(html);
    const found = doc.find(({ insert }) => typeof insert === 'string' && insert.startsWith('x'));
    expect(found?.attributes).toEqual(attributes as never);
  });

  test('an end tag ends its formatting, at the latest when the blocks within it end', () => {
    expect(fromHtml('<b>a<p>b</b>c</p>d')).toEqual([
      { insert: 'a', attributes: { bold: true } },
      { insert: '\n' },
      { insert: 'bc', attributes: { bold: true } },
      { insert: '\nd\n' },
    ]);
    expect(fromHtml('<a href="/a">a<a href="/b">b</a>c')).toEqual([
      { insert: 'a', attributes: { link: '/a' } },
      { insert: 'b', attributes: { link: '/b' } },
      { insert: 'c\n' },
    ]);
  });

  test.each([
    ['<h1>x</h1>', { header: 1 }],
    ['<h6>x</h6>', { header: 6 }],
    ['<blockquote>x</blockquote>', { blockquote: true }],
    ['<blockquote><p>x</p></blockquote>', { blockquote: true }],
    ['<pre>x</pre>', { 'code-block': true }],
    ['<pre data-language="js">x</pre>', { 'code-block': 'js' }],
    ['<pre><code class="language-c++">x</code></pre>', { 'code-block': 'c++' }],
    ['<pre class="lang-ruby"><b>x</b></pre>', { 'code-block': 'ruby' }],
    ['<p align="center">x</p>', { align: 'center' }],
    ['<p style="text-align: RIGHT">x</p>', { align: 'right' }],
    [
      '<p class="ql-align-justify ql-indent-3 ql-direction-rtl">x</p>',
      { align: 'justify', indent: 3, direction: 'rtl' },
    ],
    ['<div dir="rtl" align="center"><p dir="ltr">x</p></div>', { align: 'center' }],
    ['<p class="ql-indent-x" style="text-align: left">x</p>', undefined],
    ['<p class="ql-indent-99">x</p>', { indent: 8 }],
    ['<ul><li>x</ul>', { list: 'bullet' }],
    ['<ol><li>x</ol>', { list: 'ordered' }],
    ['<li>x', { list: 'bullet' }],
    ['<ul data-checked="true"><li>x</ul>', { list: 'checked' }],
    ['<ul data-checked="false"><li>x</ul>', { list: 'unchecked' }],
    ['<ol><li data-list="bullet" class="ql-indent-2">x</ol>', { list: 'bullet', indent: 2 }],
    ['<ul><li><input type="checkbox" checked> x</ul>', { list: 'checked' }],
    ['<ul><li><label><input type=CHECKBOX> x</label></ul>', { list: 'unchecked' }],
    ['<input type=checkbox>x', undefined],
    ['<ul><li><ul><li><ol><li>x', { list: 'ordered', indent: 2 }],
    ['<ul><li><p>x</p></li></ul>', { list: 'bullet' }],
    ['<blockquote><ul><li>x</ul></blockquote>', { list: 'bullet' }],
    ['<ul><li><h2>x</h2></ul>', { header: 2 }],
  ])('%s makes its line %j', (html, attributes) => {
    expect(toText(fromHtml(html))).toBe('x\n');
    const attributes_of_end = fromHtml(html).find(({ insert }) => typeof insert === 'string' && insert.endsWith('\n'));
    expect(attributes_of_end?.attributes).toEqual(attributes as never);
  });

  test('an item without text is a line, unless it only holds another list', () => {
    expect(text('<ul><li></li><li><br></li><li><ul><li>a</li></ul></li></ul>')).toBe('\n\na\n');
  });

  test('pictures, formulas, videos and dividers are embeds', () => {
    expect(op('<b><img src="a.png" alt="A" width=10 height="5%"></b>')).toEqual({
      insert: { image: 'a.png' },
      attributes: { bold: true, alt: 'A', width: '10', height: '5%' },
    });
    expect(op('<span class="ql-formula" data-value="a&lt;b"><b>junk</b></span>')).toEqual({
      insert: { formula: 'a<b' },
    });
    expect(fromHtml('a<hr>b')).toEqual([{ insert: 'a\n' }, { insert: { divider: true } }, { insert: 'b\n' }]);
    const video: DeltaOps = [{ insert: { video: 'https://v/w' } }, { insert: '\n' }];
    expect(fromHtml('<iframe class="ql-video" src="https://v/w">x</iframe>')).toEqual(video);
    expect(fromHtml('<video src="https://v/w"/>')).toEqual(video);
    expect(fromHtml('<a class="ql-video" href="https://v/w">https://v/w</a>')).toEqual(video);
  });

  test('code holds text alone: of a picture its description, of a formula its source', () => {
    const html = '<pre><b>a<img src=b><img src=c alt="d\ne"></b><span class="ql-formula" data-value="f"></span></pre>';
    expect(fromHtml(html)).toEqual([{ insert: 'ad ef' }, { insert: '\n', attributes: { 'code-block': true } }]);
  });

  test('embeds with a bad address vanish, as do misshapen ones', () => {
    expect(fromHtml('<img src="javascript:x"><img><iframe src="x"></iframe><video></video>')).toEqual([]);
    expect(fromHtml('<span class="ql-formula" data-value=" ">x</span><a class="ql-video" href="x">y</a>')).toEqual([
      { insert: 'x' },
      { insert: 'y', attributes: { link: 'x' } },
      { insert: '\n' },
    ]);
  });
});

describe('HTML import, hostile', () => {
  test('makes harmless documents of attacks', () => {
    for (const attack of ATTACKS) {
      for (const html of [
        attack,
        `<p>${attack}`,
        `<ul><li>${attack}</li></ul>`,
        `<a href="${attack}">x</a>`,
        `<b ${attack}`,
      ]) {
        const written = toHtml(fromHtml(html));
        expect(htmlFlaw(written)).toBeNull();
        expect(toHtml(fromHtml(written))).toBe(written);
      }
    }
  });

  test('takes any soup of tags, and its result is settled', () => {
    const tags = 'p b i a ul ol li table tr td th pre code h1 blockquote br hr img span div svg script x'.split(' ');
    forSeeds(1_500, (random) => {
      let html = '';
      for (let i = 0; i < 25; i += 1) {
        const tag = pick(random, tags);
        html += pick(random, [
          `<${tag}>`,
          `</${tag}>`,
          `<${tag} class="ql-indent-1" href=/x src=y dir=rtl>`,
          drawText(random),
        ]);
      }
      const doc = fromHtml(html);
      const written = toHtml(doc);
      expect(htmlFlaw(written)).toBeNull();
      expect(fromHtml(written)).toEqual(doc);
    });
  });

  test('tells html_depth_max open elements apart, and takes any depth', () => {
    const most = CONTENT_LIMITS.html_depth_max;
    const bold = { insert: 'x', attributes: { bold: true } };
    expect(fromHtml(`${'<div>'.repeat(most - 1)}<b>x`)[0]).toEqual(bold);
    expect(fromHtml(`${'<div>'.repeat(most)}<b>x`)).toEqual([{ insert: 'x\n' }]);
    const deep = `${'<div>'.repeat(300_000)}<b>a</b>b<div>c</div>${'</div>'.repeat(300_000)}<b>x</b>`;
    expect(fromHtml(deep)).toEqual([{ insert: 'ab\nc\n' }, bold, { insert: '\n' }]);
  });

  test('takes time in proportion to the input, whatever that is made of', () => {
    const units = [
      '<p>',
      '<b>',
      '<li>',
      '<ul><li>',
      '<td>',
      '<table><tr><td>',
      '<a href="',
      '<',
      '&',
      '&#1',
      '<!--',
      ' ',
      'x  ',
    ];
    const tails = [
      '</b>',
      '</x>',
      '<b><p></b>',
      '<b></i></b>',
      '<svg>',
      '<pre>\n',
      '<p style="a:b;',
      '<br>',
      '<a x y z ',
    ];
    for (const unit of [...units, ...tails]) {
      const started = systemClock.monotonic();
      fromHtml(`${'<div><b>'.repeat(120)}${unit.repeat(Math.ceil(100_000 / unit.length))}`);
      expect(systemClock.monotonic() - started).toBeLessThan(2_000);
    }
    const attributes = Array.from({ length: 60_000 }, (_, i) => `a${i}=1`).join(' ');
    expect(text(`<a ${attributes} href="/x">y</a>`)).toBe('y\n');
  }, 30_000);
});
