import { describe, expect, test } from 'bun:test';
import Delta from 'quill-delta';
import { seededRandom } from '../../base/random.ts';
import {
  checkFits,
  type DeltaOps,
  docLength,
  type JsonValue,
  lengthChange,
  parseDelta,
  parseDocument,
  reach,
  transformIndex,
} from './delta.ts';
import { CONTENT_LIMITS } from './limits.ts';

const refused = (value: unknown): [string, string] => {
  const parsed = parseDelta(value);
  if (parsed.ok) throw new Error(`was accepted: ${JSON.stringify(value)}`);
  return [parsed.path, parsed.message];
};

const accepted = (value: unknown): unknown => {
  const parsed = parseDelta(value);
  if (!parsed.ok) throw new Error(`was refused: ${parsed.path} ${parsed.message}`);
  return parsed.delta.ops;
};

/** `levels` arrays inside each other. */
const nested = (levels: number): JsonValue => {
  let value: JsonValue = 1;
  for (let i = 0; i < levels; i += 1) value = [value];
  return value;
};

const attributes = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`a${i}`, true]));

describe('an edit', () => {
  test('of every permitted form is accepted as it is', () => {
    const ops = [
      { retain: 3 },
      {
        insert: 'a😀\n',
        attributes: { bold: true, link: 'https://example.org', list: { type: 'x', deep: [1, null] } },
      },
      { insert: { image: 'a.png' }, attributes: { alt: 'A' } },
      { insert: { mention: { id: 7, name: null } } },
      { delete: 2 },
      { retain: 1, attributes: { bold: null } },
      { retain: 1 },
    ];
    expect(accepted(ops)).toBe(ops);
  });

  test.each([
    [{ insert: 'a' }, '', 'must be an array of operations'],
    ['[]', '', 'must be an array of operations'],
    [null, '', 'must be an array of operations'],
    [[1], '/0', 'must be an object'],
    [[{ insert: 'a' }, null], '/1', 'must be an object'],
    [[[]], '/0', 'must be an object'],
    [[new Date(0)], '/0', 'must be an object'],
    [new Array(2), '/0', 'must be an object'],
    [[{}], '/0', 'must have exactly one of insert, retain and delete'],
    [[{ attributes: {} }], '/0', 'must have exactly one of insert, retain and delete'],
    [[{ insert: 'a', delete: 1 }], '/0', 'must have exactly one of insert, retain and delete, not insert and delete'],
    [[{ insert: 'a', color: 'red' }], '/0/color', 'is not a field of an operation'],
    [[{ insert: 'a', 'x/y~z': 1 }], '/0/x~1y~0z', 'is not a field of an operation'],
    [[{ insert: '' }], '/0/insert', 'must not be empty'],
    [[{ insert: 5 }], '/0/insert', 'must be a string or an embed object'],
    [[{ insert: null }], '/0/insert', 'must be a string or an embed object'],
    [[{ insert: ['a'] }], '/0/insert', 'must be a string or an embed object'],
    [[{ insert: {} }], '/0/insert', 'must have exactly one key, the name of the embed'],
    [[{ insert: { image: 'a', video: 'b' } }], '/0/insert', 'must have exactly one key, the name of the embed'],
    [[{ insert: 'a\0' }], '/0/insert', 'must not contain NUL'],
    [[{ insert: '\ud83d' }], '/0/insert', 'must not contain a lone surrogate'],
    [[{ insert: '\ude00a' }], '/0/insert', 'must not contain a lone surrogate'],
    [[{ insert: { image: 'a\0' } }], '/0/insert/image', 'must not contain NUL'],
    [[{ insert: { 'i\0': 'a' } }], '/0/insert/i\ufffd', 'must not contain NUL'],
    [[{ insert: { m: { a: ['\udc00'] } } }], '/0/insert/m/a/0', 'must not contain a lone surrogate'],
    [[{ retain: { image: 'a' } }], '/0/retain', 'must be a positive integer'],
    [[{ retain: 0 }], '/0/retain', 'must be a positive integer'],
    [[{ retain: -1 }], '/0/retain', 'must be a positive integer'],
    [[{ retain: 1.5 }], '/0/retain', 'must be a positive integer'],
    [[{ retain: '1' }], '/0/retain', 'must be a positive integer'],
    [[{ retain: 2 ** 53 }], '/0/retain', 'must be a positive integer'],
    [[{ delete: Number.NaN }], '/0/delete', 'must be a positive integer'],
    [[{ delete: true }], '/0/delete', 'must be a positive integer'],
    [[{ delete: 1, attributes: {} }], '/0/attributes', 'has no meaning on a delete'],
    [[{ insert: 'a', attributes: null }], '/0/attributes', 'must be an object'],
    [[{ insert: 'a', attributes: [] }], '/0/attributes', 'must be an object'],
    [[{ insert: 'a', attributes: { b: undefined } }], '/0/attributes/b', 'must be a JSON value'],
    [[{ insert: 'a', attributes: { b: Number.POSITIVE_INFINITY } }], '/0/attributes/b', 'must be a finite number'],
    [[{ insert: 'a', attributes: { b: new Map() } }], '/0/attributes/b', 'must be a JSON value'],
    [[{ insert: 'a', attributes: { b: 'x\0' } }], '/0/attributes/b', 'must not contain NUL'],
    [[{ retain: 1, attributes: { b: ['\ud800'] } }], '/0/attributes/b/0', 'must not contain a lone surrogate'],
    [[{ retain: 1, attributes: { '\ud800': 1 } }], '/0/attributes/\ufffd', 'must not contain a lone surrogate'],
    [[], '', 'must change something: it is empty or only retains'],
    [[{ retain: 3 }, { retain: 1 }], '', 'must change something: it is empty or only retains'],
    [[{ retain: 3, attributes: {} }], '', 'must change something: it is empty or only retains'],
  ])('%j is refused, naming the place and the reason', (value, path, message) => {
    expect(refused(value)).toEqual([path, message]);
  });

  test('that only formats is an edit, and so is one that only takes formatting away', () => {
    accepted([{ retain: 1, attributes: { bold: true } }]);
    accepted([{ retain: 1, attributes: { bold: null } }]);
  });

  test('has at most delta_ops_max operations', () => {
    const ops = Array.from({ length: CONTENT_LIMITS.delta_ops_max }, () => ({ insert: 'a' }));
    accepted(ops);
    expect(refused([...ops, { insert: 'a' }])).toEqual(['', 'must have at most 10000 operations']);
  });

  test('has at most attributes_per_op_max attributes on an operation', () => {
    const most = CONTENT_LIMITS.attributes_per_op_max;
    accepted([{ insert: 'a', attributes: attributes(most) }]);
    const [path, message] = refused([{ insert: 'a', attributes: attributes(most + 1) }]);
    expect([path, message]).toEqual(['/0/attributes', 'must have at most 100 keys']);
  });

  test('is nested at most delta_depth_max levels in an attribute and in an embed', () => {
    const most = CONTENT_LIMITS.delta_depth_max;
    accepted([{ insert: 'a', attributes: { a: nested(most) } }]);
    expect(refused([{ insert: 'a', attributes: { a: nested(most + 1) } }])[1]).toContain('deeper than 32 levels');
    accepted([{ insert: { embed: nested(most - 1) } }]);
    expect(refused([{ insert: { embed: nested(most) } }])[1]).toContain('deeper than 32 levels');
    const endless = JSON.parse(`[{"insert":{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}}]`);
    expect(refused(endless)[1]).toContain('deeper than 32 levels');
  });

  test('with an attribute of a name that every object has is refused: neither Yjs nor quill-delta tells it from one that is not set', () => {
    for (const name of Object.getOwnPropertyNames(Object.prototype))
      expect(refused([{ insert: 'a', attributes: Object.fromEntries([[name, true]]) }])[0]).toBe(
        `/0/attributes/${name}`,
      );
  });

  test('with __proto__ as a key anywhere is refused and changes no prototype', () => {
    for (const json of [
      '[{"insert":"a","attributes":{"__proto__":{"bold":true}}}]',
      '[{"insert":"a","attributes":{"a":[{"__proto__":1}]}}]',
      '[{"insert":{"__proto__":{"polluted":true}}}]',
      '[{"__proto__":{"insert":"a"}}]',
    ]) {
      expect(refused(JSON.parse(json))[0]).toEndWith('/__proto__');
    }
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
    expect(refused([Object.create({ insert: 'a' })])).toEqual(['/0', 'must be an object']);
  });

  test('loses attributes that mean nothing, without its source being touched', () => {
    const ops = [
      { insert: 'a', attributes: { bold: null, italic: true } },
      { insert: 'b', attributes: { bold: null } },
      { retain: 1, attributes: {} },
      { retain: 2, attributes: { bold: null } },
    ];
    const before = structuredClone(ops);
    expect(accepted(ops)).toEqual([
      { insert: 'a', attributes: { italic: true } },
      { insert: 'b' },
      { retain: 1 },
      { retain: 2, attributes: { bold: null } },
    ]);
    expect(ops).toEqual(before);
  });

  test('that is refused does not echo a hostile key at length', () => {
    expect(refused([{ insert: 'a', ['k'.repeat(1_000_000)]: 1 }])[0].length).toBeLessThan(100);
  });
});

describe('a document', () => {
  test('consists of inserts alone and may be empty', () => {
    expect(parseDocument([])).toEqual({ ok: true, ops: [] });
    expect(parseDocument([{ insert: 'a' }, { insert: { image: 'b' } }]).ok).toBe(true);
    for (const [kind, op] of Object.entries({ retain: { retain: 1, attributes: { b: 1 } }, delete: { delete: 1 } })) {
      const message = 'has no place in a document, which consists of inserts';
      expect(parseDocument([{ insert: 'a' }, op])).toEqual({ ok: false, path: `/1/${kind}`, message });
    }
  });

  test('has at most document_ops_max operations', () => {
    const op = { insert: 'a' };
    const ops = new Array(CONTENT_LIMITS.document_ops_max).fill(op);
    expect(parseDocument(ops).ok).toBe(true);
    ops.push(op);
    expect(parseDocument(ops)).toMatchObject({ ok: false, path: '' });
  });

  test('is as long as its text in UTF-16 units, an embed counting 1', () => {
    const ops = [{ insert: 'a😀' }, { insert: { image: 'long' } }, { insert: '\n' }];
    expect(docLength(ops)).toBe(5);
    expect(docLength([])).toBe(0);
  });
});

describe('a delta fits a text', () => {
  const text = 'a😀b';
  const fits = (delta: Delta, of = text) => checkFits(delta, of.length, (index) => of.charCodeAt(index));

  test('when it reaches to the end and no further', () => {
    expect(fits(new Delta().retain(4).insert('x'))).toBeNull();
    expect(fits(new Delta().delete(4))).toBeNull();
    expect(fits(new Delta([{ retain: 3 }, { retain: 1, attributes: { bold: true } }]))).toBeNull();
    expect(fits(new Delta([{ retain: 5 }, { insert: 'x' }]))).toBe(
      'reaches past the end of the document, which is 4 long',
    );
    expect(fits(new Delta([{ retain: 3 }, { delete: 2 }]))).toStartWith('reaches past the end');
    expect(fits(new Delta([{ retain: 4, attributes: { b: 1 } }, { retain: 1 }]))).toStartWith('reaches past the end');
    const far = Number.MAX_SAFE_INTEGER;
    expect(fits(new Delta([{ retain: far }, { retain: far }, { insert: 'x' }]))).toStartWith('reaches past the end');
    expect(fits(new Delta([{ delete: 1 }]), '')).toStartWith('reaches past the end');
    expect(fits(new Delta([{ insert: 'x' }]), '')).toBeNull();
  });

  test('when no insert, deletion or formatting begins or ends within a surrogate pair', () => {
    const split = 'splits a surrogate pair at 1';
    expect(fits(new Delta().retain(2).insert('x'))).toBe(split);
    expect(fits(new Delta().delete(2))).toBe(split);
    expect(fits(new Delta().retain(2).delete(1))).toBe(split);
    expect(fits(new Delta([{ retain: 2, attributes: { bold: true } }]))).toBe(split);
    expect(fits(new Delta([{ retain: 1 }, { retain: 1, attributes: { bold: true } }]))).toBe(split);
    expect(fits(new Delta([{ delete: 1 }, { insert: 'x' }, { delete: 1 }]))).toBe(split);
    expect(fits(new Delta().retain(1).delete(2).insert('y'))).toBeNull();
    expect(fits(new Delta().retain(3).insert('x'))).toBeNull();
  });

  test("when what it parts are lone surrogates, which are nobody's pair", () => {
    expect(fits(new Delta().retain(1).insert('x'), '\ud83d')).toBeNull();
    expect(fits(new Delta().retain(1).insert('x'), '\ude00\ud83d')).toBeNull();
    expect(fits(new Delta().retain(1).insert('x'), '\ud83d\ud83d')).toBeNull();
  });

  test('asking for code units inside the text alone', () => {
    const asked: number[] = [];
    const delta = new Delta().insert('x').retain(2, { b: 1 }).delete(2);
    expect(checkFits(delta, 4, (index) => asked.push(index))).toBeNull();
    expect(asked).toEqual([1]);
  });
});

test('lengthChange and reach count UTF-16 units, an embed as one', () => {
  const delta: DeltaOps = [{ retain: 4 }, { insert: '😀a' }, { insert: { image: 'x' } }, { delete: 2 }, { retain: 1 }];
  expect(lengthChange(delta)).toBe(2);
  expect(reach(delta)).toBe(7);
  expect([lengthChange([]), reach([])]).toEqual([0, 0]);
});

test('transformIndex is transformPosition of quill-delta, whatever the delta', () => {
  const random = seededRandom(47);
  const upTo = (max: number) => 1 + Math.floor(random.float() * max);
  for (let i = 0; i < 2_000; i++) {
    const delta = Array.from({ length: upTo(6) }, (): DeltaOps[number] => {
      const kinds: DeltaOps = [
        { retain: upTo(5) },
        { delete: upTo(5) },
        { insert: 'x'.repeat(upTo(3)) },
        { insert: { image: '' } },
      ];
      return kinds[upTo(4) - 1] ?? { retain: 1 };
    });
    for (let index = 0; index < 20; index++)
      expect([delta, index, transformIndex(delta, index)]).toEqual([
        delta,
        index,
        new Delta(delta).transformPosition(index),
      ]);
  }
});
