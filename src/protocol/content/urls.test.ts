import { expect, test } from 'bun:test';
import { safeUrl } from './urls.ts';

test('addresses that are known to be harmless are kept as they are', () => {
  for (const url of [
    ...[
      'http://a.b',
      'HTTPS://a.b/c?d=e&f#g:h',
      'mailto:a@b.c',
      'tel:+1',
      'sms:1',
      '//a.b/c',
      '/a/b:c',
      'a/b',
      '#a:b',
      '?a=b:c',
    ],
    ...['page.html', 'ü/ö', 'a b/c', 'http://a/?u=javascript:1', 'x%20y'],
  ]) {
    expect(safeUrl(url, 'link')).toBe(url);
  }
});

test('addresses that could run something are refused in every disguise', () => {
  for (const url of [
    ...[
      'javascript:alert(1)',
      'JAVASCRIPT:x',
      ' javascript:x',
      '\u0001javascript:x',
      'java\nscript:x',
      'java\tscript:x',
    ],
    ...['\u200bjavascript:x', 'java\u00adscript:x', 'java script:x', '\ufeffjavascript:x', '\u2028javascript:x'],
    ...['javascript&colon;x', 'javascript&#58;x', 'java&#x73;cript:x', 'javascript%3ax', 'javascript\\:x', '\\\\a'],
    ...[
      'vbscript:x',
      'data:text/html,x',
      'file:///etc/passwd',
      'blob:x',
      'about:blank',
      'view-source:x',
      'x-y.z+1:w',
      ':x',
    ],
    ...['ja va\u0000script:x', 'ht tp://a.b', ''],
    ...[' ', '\n', '\u200b', 5, null, undefined, {}, ['http://a']],
  ]) {
    expect(safeUrl(url, 'link')).toBeNull();
  }
});

test('control characters and white space at the ends are taken out', () => {
  expect(safeUrl(' \thttp://a.b/\u0000c\n ', 'link')).toBe('http://a.b/c');
  expect(safeUrl('http://a/\ud800', 'link')).toBe('http://a/\ufffd');
});

test('raster images may come as data, in an image alone', () => {
  const png = 'data:image/png;base64,iVBORw0KGgo=';
  expect(safeUrl(png, 'image')).toBe(png);
  expect(safeUrl(png.toUpperCase().replace('IVBORW0KGGO=', ''), 'image')).not.toBeNull();
  expect(safeUrl(png, 'link')).toBeNull();
  expect(safeUrl(png, 'video')).toBeNull();
  for (const url of [
    ...['data:image/svg+xml;base64,PHN2Zz4=', 'data:image/png,<script>', 'data:image/png;base64,"><script>'],
    ...['data:text/html;base64,aaaa', 'data:image/png;charset=x;base64,aaaa'],
  ]) {
    expect(safeUrl(url, 'image')).toBeNull();
  }
});

test('an image may be relative, a video must name its host', () => {
  expect(safeUrl('a.png', 'image')).toBe('a.png');
  expect(safeUrl('mailto:a@b', 'image')).toBeNull();
  expect(safeUrl('a.mp4', 'video')).toBeNull();
  expect(safeUrl('https://a/b.mp4', 'video')).toBe('https://a/b.mp4');
});
