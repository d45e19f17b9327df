/**
 * Documents for tests, drawn from seeded chance: a failing seed makes the same document again.
 *
 * {@link drawDocument} makes documents in the one form that imports make, of what an output can express, so that a round
 * trip must give them back exactly. {@link drawWildDocument} makes what could come through the Yjs doors: any text, any
 * attribute with any value, embeds of any shape.
 */
import { type Random, seededRandom } from '../../base/random.ts';
import type { Attributes, DeltaOp, DeltaOps, JsonValue } from './delta.ts';
import { DocumentBuilder } from './ops.ts';

/** Which output the document has to survive. */
export type Subset = 'html' | 'markdown';

/** Runs `check` for each seed and names the seed that failed. */
export function forSeeds(count: number, check: (random: Random, seed: number) => void): void {
  for (let seed = 1; seed <= count; seed += 1) {
    try {
      check(seededRandom(seed), seed);
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }
}

/** One of the values. */
export function pick<T>(random: Random, values: readonly T[]): T {
  const value = values[Math.floor(random.float() * values.length)];
  if (value === undefined) throw new Error('nothing to pick from');
  return value;
}

function upTo(random: Random, most: number): number {
  return Math.floor(random.float() * (most + 1));
}

function chance(random: Random, odds: number): boolean {
  return random.float() < odds;
}

/** Pieces of text that mean something to Markdown, HTML, CSS or URLs, or to their parsers' idea of a character. */
const PIECES: readonly string[] = [
  ...'abcXYZ019 \t.,;:!?*_~`^$#+-=>|<&"\'\\/()[]{}@%',
  ...['  ', ' ', ' ', 'word', 'two words', 'snake_case', '__', '**', '***', '~~', '~~~', '```', '``', '$$', '$`x`$'],
  ...[
    '&amp;',
    '&#32;',
    '&#x41;',
    '&copy',
    '&lt;',
    '\\*',
    '\\\\',
    '1. ',
    '10) ',
    '- ',
    '+ ',
    '> ',
    '# ',
    '###### ',
    '---',
  ],
  ...[
    '[a](b)',
    '![a](b)',
    '[x] ',
    '[ ] ',
    '[a]: b',
    '<br>',
    '<b>',
    '</p>',
    '<!--',
    '-->',
    '<![CDATA[',
    '<script>',
    '|a|',
  ],
  ...[
    'http://a.b',
    'javascript:',
    '<http://a>',
    'é',
    'ß',
    '中',
    'א',
    '😀',
    '👩‍👩‍👧',
    '\u00a0',
    '\u200b',
    '\u2003',
    '\ufeff',
  ],
  ...['\u2028', '\u2029', '\u0301', '\ufffc', '\ufffd', '…', '“', '”', '€', '¡', '\u3000', '=', '===', 'a'],
];

/** Text of one line. */
export function drawText(random: Random): string {
  let text = '';
  for (let i = upTo(random, 4); i >= 0; i -= 1) text += pick(random, PIECES);
  return text;
}

const LINKS = [
  'http://a.b/c',
  'https://x.y/?q=1&r=(2)#f',
  'mailto:a@b.c',
  '/path/to',
  '#top',
  '//h/p',
  'http://a.b/ü <>',
];
const IMAGES = ['a.png', 'https://i.j/k.jpg?a=b&c', '/i/(1).gif', 'data:image/png;base64,iVBORw0KGgo='];
const COLORS = ['#f00', '#ff000080', 'red', 'rgb(1, 2, 3)', 'rgba(0,0,0,0.5)', 'hsl(120, 50%, 50%)', 'transparent'];

function drawInline(random: Random, subset: Subset): Attributes {
  const inline: Attributes = {};
  if (chance(random, 0.4)) return inline;
  for (const name of ['bold', 'italic', 'strike', 'code']) if (chance(random, 0.3)) inline[name] = true;
  if (chance(random, 0.2)) inline.link = pick(random, LINKS);
  if (subset === 'markdown') return inline;
  if (chance(random, 0.2)) inline.underline = true;
  if (chance(random, 0.2)) inline.script = pick(random, ['sub', 'super']);
  if (chance(random, 0.2)) inline.color = pick(random, COLORS);
  if (chance(random, 0.2)) inline.background = pick(random, COLORS);
  if (chance(random, 0.2)) inline.font = pick(random, ['serif', 'monospace', 'Times New Roman', 'Arial, sans-serif']);
  if (chance(random, 0.2)) inline.size = pick(random, ['small', 'large', 'huge', '18px', '1.5em']);
  return inline;
}

function drawBlock(random: Random, subset: Subset): Attributes {
  const block: Attributes = {};
  const kind = pick(random, ['', '', 'header', 'list', 'list', 'list', 'blockquote', 'code-block']);
  if (kind === 'code-block') return { 'code-block': pick(random, [true, 'js', 'c++', 'plain']) };
  if (kind === 'header') block.header = 1 + upTo(random, 5);
  if (kind === 'blockquote') block.blockquote = true;
  if (kind === 'list') {
    block.list = pick(random, ['bullet', 'ordered', 'checked', 'unchecked']);
    if (chance(random, 0.5)) block.indent = 1 + upTo(random, 7);
  }
  if (subset === 'markdown') return block;
  if (kind !== 'list' && chance(random, 0.2)) block.indent = 1 + upTo(random, 7);
  if (chance(random, 0.2)) block.align = pick(random, ['center', 'right', 'justify']);
  if (chance(random, 0.2)) block.direction = 'rtl';
  return block;
}

function drawRun(random: Random, subset: Subset, builder: DocumentBuilder): void {
  const inline = drawInline(random, subset);
  if (chance(random, 0.85)) {
    builder.text(drawText(random), inline);
    return;
  }
  const { code, ...marks } = inline;
  if (chance(random, 0.3)) {
    builder.embed({ formula: pick(random, ['e=mc^2', 'a < b', '`x`', '\\frac{1}{2}', ' $ ', '"']) }, marks);
    return;
  }
  if (chance(random, 0.5)) marks.alt = pick(random, ['A', 'a "b" <c>', 'x * y_z', '[a](b)', '&amp;', 'ü\\', '!']);
  if (subset === 'html' && chance(random, 0.5)) marks.width = pick(random, ['100', '50%', '20px']);
  if (subset === 'html' && chance(random, 0.5)) marks.height = '30';
  builder.embed({ image: pick(random, IMAGES) }, marks);
}

/** A document of what the output can express, in the form in which imports make documents. */
export function drawDocument(random: Random, subset: Subset): DeltaOps {
  const builder = new DocumentBuilder();
  for (let lines = upTo(random, 6); lines > 0; lines -= 1) {
    if (chance(random, 0.08)) {
      if (subset === 'html' && chance(random, 0.5)) builder.embed({ video: 'https://v.w/x?y=z&t=1' });
      else builder.embed({ divider: true });
      continue;
    }
    const block = drawBlock(random, subset);
    const runs = upTo(random, 4);
    for (let run = 0; run < runs; run += 1) {
      if (block['code-block'] === undefined) drawRun(random, subset, builder);
      else builder.text(drawText(random));
    }
    builder.text('\n', block);
  }
  return builder.lines();
}

const WILD_TEXT = [
  '\0',
  '\ud800',
  '\udc00',
  '\r',
  '\r\n',
  '\n',
  '\n\n',
  '\u0001',
  '\u007f',
  '\uffff',
  '\u0085',
  '\v',
  '\f',
];
const WILD_VALUES: readonly JsonValue[] = [
  ...[true, false, null, 0, 1, -1, 3.5, 1e300, '', 'x', '\0', '\udc00', 'rtl', 'ordered', 'center', 'sub', 'huge'],
  ...[
    'javascript:alert(1)',
    ' java\nscript:alert(1)',
    '"><script>alert(1)</script>',
    "' onload='alert(1)",
    'red;}</style>',
  ],
  ...[
    'expression(alert(1))',
    'url(javascript:alert(1))',
    '*/x:y',
    '`](x)',
    '</code></pre><img src=x onerror=alert(1)>',
  ],
  ...[{}, [], { a: 1 }, ['x'], { href: 'x', toString: 'y' }],
];
const WILD_NAMES = [
  ...[
    'bold',
    'italic',
    'underline',
    'strike',
    'code',
    'link',
    'color',
    'background',
    'font',
    'size',
    'script',
    'header',
  ],
  ...['list', 'indent', 'blockquote', 'code-block', 'align', 'direction', 'alt', 'width', 'height', 'table', 'ychange'],
  ...['__proto__', 'constructor', 'toString', 'onclick', 'style', 'class', '"><x', '', '\0'],
];
const WILD_EMBEDS = ['image', 'video', 'formula', 'divider', 'mention', '__proto__', 'constructor', '"><script>'];

function drawWildObject(random: Random, names: readonly string[]): { [name: string]: JsonValue } {
  const entries: [string, JsonValue][] = [];
  for (let i = upTo(random, 3); i > 0; i -= 1) entries.push([pick(random, names), pick(random, WILD_VALUES)]);
  return Object.fromEntries(entries);
}

/** A document as nobody should make it. */
export function drawWildDocument(random: Random): DeltaOps {
  const ops: DeltaOps = [];
  for (let i = upTo(random, 8); i > 0; i -= 1) {
    const text = drawText(random) + pick(random, WILD_TEXT) + (chance(random, 0.5) ? drawText(random) : '');
    const embed = chance(random, 0.05) ? pick(random, WILD_VALUES) : drawWildObject(random, WILD_EMBEDS);
    const insert = chance(random, 0.7) ? text : embed;
    const attributes = drawWildObject(random, WILD_NAMES);
    ops.push((chance(random, 0.3) ? { insert } : { insert, attributes }) as DeltaOp);
  }
  return ops;
}
