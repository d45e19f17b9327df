/**
 * A judge of HTML output that shares nothing with its writer: a strict grammar of what may come out. Whatever does not
 * match it (a stray `<`, an unknown element or attribute, an unbalanced tag, a bad address) is a flaw.
 */

const ATTRIBUTES: Readonly<Record<string, readonly string[]>> = {
  ...{ p: ['class', 'dir', 'style'], li: ['data-list', 'dir', 'style'], ul: [], ol: [], blockquote: [] },
  ...Object.fromEntries([1, 2, 3, 4, 5, 6].map((level) => [`h${level}`, ['class', 'dir', 'style']])),
  ...{
    pre: ['data-language'],
    code: ['class'],
    a: ['class', 'href', 'rel', 'target'],
    span: ['class', 'style', 'data-value'],
  },
  ...{ strong: [], em: [], u: [], s: [], sub: [], sup: [], br: [], hr: [], img: ['src', 'alt', 'width', 'height'] },
};
const VOID = new Set(['br', 'hr', 'img']);
const TOKEN = /<(\/?)([a-z][a-z0-9]*)((?: [a-z-]+="[^"<>]*")*)>|([^<>]+)/y;
const ADDRESS = /^(?:(?:https?|mailto|tel|sms):|[^:&\\]*$|[^:&\\]*[/?#])/i;
const RASTER = /^data:image\/(?:png|jpe?g|gif|webp|avif|bmp);base64,[A-Za-z0-9+/=]*$/;
const STYLE =
  /^(?:(?:color|background-color|font-family|font-size|text-align|white-space|list-style-type): [a-zA-Z0-9#%.,()/ _-]+(?:; |$))+$/;
const CLASS = /^(?:(?:ql|language)-[a-z0-9_+#.-]+(?: |$))+$/i;

/** The text that character references stand for; null when an ampersand is not part of one we write. */
export function decode(text: string): string | null {
  if (/&(?!(?:amp|lt|gt|quot|#39);)/.test(text)) return null;
  const characters: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };
  return text.replace(/&([a-z]+|#39);/g, (_, name: string) => characters[name] ?? '');
}

/** What is wrong with the output, or null. */
export function htmlFlaw(html: string): string | null {
  const open: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < html.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(html);
    if (match === null) return `neither tag nor text at ${at}: ${html.slice(at, at + 40)}`;
    const [, slash, name = '', attributes = '', text] = match;
    if (text !== undefined) {
      const flaw = textFlaw(text);
      if (flaw !== null) return flaw;
    } else if (slash === '/') {
      if (open.pop() !== name) return `</${name}> does not end what is open at ${at}`;
    } else {
      const allowed = ATTRIBUTES[name];
      if (allowed === undefined) return `unknown element ${name}`;
      if (!VOID.has(name)) open.push(name);
      const flaw = attributesFlaw(name, allowed, attributes);
      if (flaw !== null) return flaw;
    }
  }
  return open.length === 0 ? null : `left open: ${open.join(' ')}`;
}

function textFlaw(text: string): string | null {
  if (decode(text) === null) return `a bare ampersand in ${text}`;
  if (/(?![\t\n])\p{Cc}/u.test(text) || !text.isWellFormed()) return `a character that HTML forbids in ${text}`;
  return null;
}

function attributesFlaw(element: string, allowed: readonly string[], attributes: string): string | null {
  const seen = new Set<string>();
  for (const [, name = '', raw = ''] of attributes.matchAll(/ ([a-z-]+)="([^"]*)"/g)) {
    if (!allowed.includes(name) || seen.has(name)) return `${element} with ${name}`;
    seen.add(name);
    const value = decode(raw);
    if (value === null || textFlaw(raw) !== null) return `a bad reference or character in ${name}="${raw}"`;
    if (name === 'href' && !ADDRESS.test(value)) return `a bad address: ${value}`;
    if (name === 'src' && !ADDRESS.test(value) && !RASTER.test(value)) return `a bad address: ${value}`;
    if (name === 'style' && !STYLE.test(value)) return `a bad style: ${value}`;
    if (name === 'class' && !CLASS.test(value)) return `a bad class: ${value}`;
  }
  return null;
}

/** Ways to write a script into a page, from the well-known lists of such; each must come out as nothing but text. */
export const ATTACKS: readonly string[] = [
  '<script>alert(1)</script>',
  '<SCRIPT SRC=//evil/x.js></SCRIPT>',
  '<scr<script>ipt>alert(1)</scr</script>ipt>',
  '<img src=x onerror=alert(1)>',
  '<img src="javascript:alert(1)">',
  '<IMG """><SCRIPT>alert(1)</SCRIPT>"\\>',
  '<svg onload=alert(1)><a xlink:href="javascript:alert(1)">x</a></svg>',
  '<svg><style><img src=x onerror=alert(1)></style></svg>',
  '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
  '<iframe src="javascript:alert(1)"></iframe>',
  '<iframe srcdoc="<script>alert(1)</script>">',
  '<object data="javascript:alert(1)"><embed src="data:text/html,<script>alert(1)</script>">',
  '<a href="javascript:alert(1)">x</a>',
  '<a href=" &#14; javascript:alert(1)">x</a>',
  '<a href="java&#10;script&colon;alert(1)">x</a>',
  '<a href="&#106;&#97;&#118;&#97;&#115;&#99;&#114;&#105;&#112;&#116;&#58;alert(1)">x</a>',
  '<a href="JaVaScRiPt&#x3A;alert(1)">x</a>',
  '<a href="\u0001javascript:alert(1)">x</a>',
  '<a href="java\tscript:alert(1)">x</a>',
  '<a href="vbscript:msgbox(1)">x</a>',
  '<a href="data:text/html;base64,PHNjcmlwdD4=">x</a>',
  '<a href="feed:javascript:alert(1)">x</a>',
  '<img src="data:image/svg+xml;base64,PHN2Zz4=">',
  '<p style="color:expression(alert(1))">x</p>',
  '<p style="background:url(javascript:alert(1))">x</p>',
  '<p style="color:red;}</style><script>alert(1)</script>">x</p>',
  '<span class="ql-font-x&quot; onmouseover=&quot;alert(1)">x</span>',
  '<span class="ql-formula" data-value="</span><script>alert(1)</script>">x</span>',
  '<pre data-language="js&quot;><script>alert(1)</script>">x</pre>',
  '<video src="javascript:alert(1)"></video>',
  '<a class="ql-video" href="javascript:alert(1)">x</a>',
  '<form action="javascript:alert(1)"><input type=image src=x onerror=alert(1)><button formaction=javascript:alert(1)>x',
  '<meta http-equiv="refresh" content="0;url=javascript:alert(1)">',
  '<base href="javascript:alert(1)//">',
  '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
  '<textarea></textarea><script>alert(1)</script></textarea>',
  '<title></title><script>alert(1)</script></title>',
  '<xmp><script>alert(1)</script></xmp>',
  '<!--><script>alert(1)</script>-->',
  '<![CDATA[<script>alert(1)</script>]]>',
  '<?xml version="1.0"?><script>alert(1)</script>',
  '<a href="http://a" onclick="alert(1)" style="x:expression(alert(1))">x</a>',
  '[x](javascript:alert(1))',
  '[x](java&#x73;cript:alert(1))',
  '[x](javascript&colon;alert(1))',
  '[x](<java\\\nscript:alert(1)>)',
  '[x]( vbscript:alert(1))',
  '[x](data:text/html,<script>alert(1)</script>)',
  '![x](javascript:alert(1))',
  '![x"onerror="alert(1)](x)',
  '[x](http://a"onclick="alert(1))',
  '[x][y]\n\n[y]: javascript:alert(1)',
  '<javascript:alert(1)>',
  '[x](\\u006aavascript:alert(1))',
  '```js"><script>alert(1)</script>\nx\n```',
  '<x onclick=alert(1)>**b**</x>',
];
