import { describe, expect, test } from 'bun:test';
import * as Y from 'yjs';
import { type ContentInput, importContent } from './content-import.ts';

const base64 = (update: Uint8Array) => Buffer.from(update).toString('base64');

/** The update of a document that `fill` has filled. */
function updateOf(fill: (doc: Y.Doc) => void): Uint8Array {
  const doc = new Y.Doc();
  fill(doc);
  return Y.encodeStateAsUpdate(doc);
}

function load(state: Uint8Array): Y.Doc {
  const doc = new Y.Doc();
  Y.applyUpdate(doc, state);
  return doc;
}

function issueOf(content: ContentInput): { path: string; message: string } | undefined {
  try {
    importContent(content);
  } catch (error) {
    return (error as { details: { path: string; message: string }[] }).details[0];
  }
  return undefined;
}

describe('a text', () => {
  const ops = [
    { insert: 'Otters ' },
    { insert: 'swim 😀', attributes: { bold: true } },
    { insert: { image: 'https://example.org/o.png' }, attributes: { width: 10 } },
    { insert: '\n', attributes: { header: 1 } },
  ];

  test('as a delta comes out of the Yjs document as it went in', () => {
    const { state, text } = importContent({ format: 'delta', value: ops });
    expect(load(state.state).getText('content').toDelta()).toEqual(ops);
    expect(JSON.parse(state.delta)).toEqual(ops);
    expect(text).toBe('Otters swim 😀\ufffc\n');
  });

  test.each([
    ['text', 'Otters swim', [{ insert: 'Otters swim' }]],
    [
      'markdown',
      'Otters **swim**',
      [{ insert: 'Otters ' }, { insert: 'swim', attributes: { bold: true } }, { insert: '\n' }],
    ],
    [
      'html',
      '<p>Otters <b>swim</b></p>',
      [{ insert: 'Otters ' }, { insert: 'swim', attributes: { bold: true } }, { insert: '\n' }],
    ],
  ] as const)('as %s becomes ops', (format, value, expected) => {
    expect(JSON.parse(importContent({ format, value }).state.delta)).toEqual(expected);
  });

  test('may be empty', () => {
    const { state, text } = importContent({ format: 'text', value: '' });
    expect([...state.state]).toEqual([0, 0]);
    expect([state.delta, text]).toEqual(['[]', '']);
  });

  test('that is not of its format is refused, with a path to the flaw', () => {
    expect(issueOf({ format: 'delta', value: [{ insert: 'a' }, { retain: 1 }] })?.path).toBe('/content/value/1/retain');
    expect(issueOf({ format: 'delta', value: 'text' })?.path).toBe('/content/value');
    expect(issueOf({ format: 'markdown', value: [] })?.path).toBe('/content/value');
  });

  test('of many runs that Yjs would merge is imported in linear time', () => {
    const runs = Array.from({ length: 400_000 }, (_, index) =>
      (index >> 1) % 2 === 0 ? { insert: 'a' } : { insert: 'b', attributes: { bold: true } },
    );
    const began = performance.now();
    const { text } = importContent({ format: 'delta', value: runs });
    expect(text).toBe('aabb'.repeat(100_000));
    // Some 0.7 s; merging them in Yjs takes ten times as long, and grows with the square.
    expect(performance.now() - began).toBeLessThan(8_000);
  });
});

describe('a Yjs update', () => {
  test('keeps all its roots, and its text is what JSON clients will see', () => {
    const update = updateOf((doc) => {
      doc.getText('content').insert(0, 'Otters', { bold: true });
      doc.getXmlFragment('prosemirror').insert(0, [new Y.XmlElement('p')]);
      doc.getMap('settings').set('width', 10);
    });
    const { state, text } = importContent({ format: 'yjs', value: base64(update) });
    const doc = load(state.state);
    expect(text).toBe('Otters');
    expect(JSON.parse(state.delta)).toEqual([{ insert: 'Otters', attributes: { bold: true } }]);
    expect(doc.getXmlFragment('prosemirror').toJSON()).toBe('<p></p>');
    expect(doc.getMap('settings').toJSON()).toEqual({ width: 10 });
  });

  test('whose text holds what a delta cannot show is a text of embed objects', () => {
    const update = updateOf((doc) => {
      doc.getText('content').insert(0, 'ab');
      doc.getText('content').insertEmbed(1, new Y.Map([['mention', 'Ada']]));
    });
    const { state } = importContent({ format: 'yjs', value: base64(update) });
    expect(JSON.parse(state.delta)).toEqual([{ insert: 'a' }, { insert: { yjs: { type: 'YMap' } } }, { insert: 'b' }]);
  });

  test('may hold text that JSON clients could not have written', () => {
    const update = updateOf((doc) => doc.getText('content').insert(0, 'NUL \0'));
    const { state, text } = importContent({ format: 'yjs', value: base64(update) });
    expect(JSON.parse(state.delta)).toEqual([{ insert: 'NUL \0' }]);
    expect(text).toBe('NUL \ufffd');
  });

  test('may nest its embeds 1,000 levels deep, and no deeper', () => {
    const nested = (levels: number) => {
      let value: object = {};
      for (let depth = 1; depth < levels; depth++) value = { in: value };
      return base64(updateOf((doc) => doc.getText('content').insertEmbed(0, value)));
    };
    expect(issueOf({ format: 'yjs', value: nested(1_000) })).toBeUndefined();
    expect(issueOf({ format: 'yjs', value: nested(1_001) })?.message).toContain('1000 levels');
  });

  test('of another kind of root than a text is shown unit by unit', () => {
    const update = updateOf((doc) => doc.getArray('content').insert(0, ['a', { b: 1 }]));
    const { state } = importContent({ format: 'yjs', value: base64(update) });
    expect(JSON.parse(state.delta)).toEqual([{ insert: { yjs: 'a' } }, { insert: { yjs: { b: 1 } } }]);
  });

  const whole = updateOf((doc) => doc.getText('content').insert(0, 'Otters swim'));

  test.each([
    ['something that is not a string', [1, 2]],
    ['base64 with a space in it', `${base64(whole).slice(0, 4)} ${base64(whole).slice(4)}`],
    ['base64 of the URL alphabet', base64(Uint8Array.of(255, 254, 253)).replaceAll('/', '_')],
    ['base64 that is cut short', base64(whole).slice(0, -1)],
    ['an empty string', ''],
    ['bytes that are no update', base64(new TextEncoder().encode('Otters swim'))],
    ['an update that is cut short', base64(whole.slice(0, -4))],
    ['an update with more behind it', base64(Buffer.concat([whole, Uint8Array.of(1, 2, 3)]))],
    ['two updates, one behind the other', base64(Buffer.concat([Uint8Array.of(0, 0), whole]))],
    ['an update of version 2', base64(Y.encodeStateAsUpdateV2(load(whole)))],
    ['an embed that can be read but not written', base64(deeplyNested())],
    ['shared types that stand in each other without end', base64(updateOf(nestMaps))],
  ])('is refused as %s', (_what, value) => {
    expect(issueOf({ format: 'yjs', value })?.path).toBe('/content/value');
  });

  test('that builds on changes which it does not hold is refused', () => {
    const doc = load(whole);
    const before = Y.encodeStateVector(doc);
    doc.getText('content').insert(11, ' well');
    const late = Y.encodeStateAsUpdate(doc, before);
    expect(issueOf({ format: 'yjs', value: base64(late) })?.message).toContain('does not hold');
    doc.getText('content').delete(0, 3);
    const { delete_set } = deleteSetOf(doc);
    expect(issueOf({ format: 'yjs', value: base64(delete_set) })?.message).toContain('does not hold');
  });
});

function deleteSetOf(doc: Y.Doc): { delete_set: Uint8Array } {
  return { delete_set: Y.encodeStateAsUpdate(doc, Y.encodeStateVector(doc)) };
}

function nestMaps(doc: Y.Doc): void {
  let map = new Y.Map<unknown>();
  doc.transact(() => {
    doc.getText('content').insertEmbed(0, map);
    for (let depth = 0; depth < 40_000; depth++) {
      const inner = new Y.Map<unknown>();
      map.set('', inner);
      map = inner;
    }
  });
}

/** An update whose embed is nested tens of thousands deep, put together by hand: Yjs itself cannot write it. */
function deeplyNested(): Uint8Array {
  const depth = 40_000;
  const small = updateOf((doc) => doc.getText('content').insertEmbed(0, ['@'] as unknown as object));
  const json = `${'['.repeat(depth)}"@"${']'.repeat(depth)}`;
  const at = Buffer.from(small).indexOf('["@"]');
  const length = [0x80 | (json.length & 0x7f), 0x80 | ((json.length >> 7) & 0x7f), json.length >> 14];
  return Buffer.concat([small.slice(0, at - 1), Uint8Array.from(length), Buffer.from(json), small.slice(at + 5)]);
}
