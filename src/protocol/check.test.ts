import { expect, test } from 'bun:test';
import Type from 'typebox';
import { compileCheck, compileShape, NESTING_MAX, textIssue } from './check.ts';
import { ConcordError, type FieldIssue } from './errors.ts';

const Sample = Type.Object(
  {
    title: Type.String({ minLength: 1, maxLength: 5 }),
    count: Type.Optional(Type.Integer({ minimum: 1, maximum: 3 })),
    kind: Type.Optional(Type.Enum(['a', 'b'])),
    fixed: Type.Optional(Type.Literal('yes')),
    either: Type.Optional(
      Type.Union([Type.Null(), Type.Object({ at: Type.Integer() }, { additionalProperties: false })]),
    ),
    when: Type.Optional(Type.String({ pattern: '^x$', 'x-refusal': 'must be the letter x' })),
    list: Type.Optional(Type.Array(Type.String())),
  },
  { additionalProperties: false },
);

const check = compileCheck(Sample);

function issues(value: unknown): readonly FieldIssue[] {
  try {
    check(value);
  } catch (error) {
    if (error instanceof ConcordError && error.code === 'VALIDATION_ERROR') return error.details as FieldIssue[];
    throw error;
  }
  return [];
}

test('what passes is the very value that came in: nothing is coerced, defaulted or dropped', () => {
  const value = { title: 'abc', count: 3, either: null };
  expect(check(value)).toBe(value);
  expect(issues({ title: 'abc', count: '3' })).toEqual([{ path: '/count', message: 'must be a whole number' }]);
  expect(issues({ title: 5 })).toEqual([{ path: '/title', message: 'must be a string' }]);
  expect(issues({ title: 'abc', count: 1.5 })).toEqual([{ path: '/count', message: 'must be a whole number' }]);
});

test('each field that is wrong is named once, by its JSON pointer, in words for people', () => {
  expect(issues({})).toEqual([{ path: '/title', message: 'is required' }]);
  expect(issues({ title: 'abc', extra: 1 })).toEqual([{ path: '/extra', message: 'is not a known field' }]);
  expect(issues({ title: '' })).toEqual([{ path: '/title', message: 'must not be empty' }]);
  expect(issues({ title: 'abcdef' })).toEqual([{ path: '/title', message: 'must have at most 5 characters' }]);
  expect(issues({ title: 'a', count: 0 })).toEqual([{ path: '/count', message: 'must be at least 1' }]);
  expect(issues({ title: 'a', count: 4 })).toEqual([{ path: '/count', message: 'must be at most 3' }]);
  expect(issues({ title: 'a', kind: 'c' })).toEqual([{ path: '/kind', message: 'must be one of a, b' }]);
  expect(issues({ title: 'a', fixed: 'no' })).toEqual([{ path: '/fixed', message: 'must be "yes"' }]);
  expect(issues({ title: 'a', when: 'y' })).toEqual([{ path: '/when', message: 'must be the letter x' }]);
  expect(issues({ title: 'a', list: ['x', 1] })).toEqual([{ path: '/list/1', message: 'must be a string' }]);
  expect(issues([])).toEqual([{ path: '', message: 'must be an object' }]);
});

test('a value that fits no branch of a union is told what each wanted', () => {
  const [issue] = issues({ title: 'a', either: 7 });
  expect(issue).toEqual({ path: '/either', message: 'must be null, or must be an object' });
  expect(issues({ title: 'a', either: { at: 1, to: 2 } }).map(({ path }) => path)).toContain('/either/to');
});

test('two fields that are wrong are both named', () => {
  expect(
    issues({ count: 9 })
      .map(({ path }) => path)
      .sort(),
  ).toEqual(['/count', '/title']);
});

test('one refusal names at most 32 fields, however many are wrong', () => {
  const extra = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`f${i}`, i]));
  expect(issues({ title: 'abc', ...extra })).toHaveLength(32);
});

test('NUL and half a surrogate pair are refused in any string and any name, at any depth', () => {
  expect(textIssue({ a: [{ b: 'x\0' }] })).toEqual({ path: '/a/0/b', message: 'must not contain NUL' });
  expect(textIssue('\ud83d')).toEqual({ path: '', message: 'must not contain half of a surrogate pair' });
  expect(textIssue({ a: { 'b\0': 1 } })).toEqual({
    path: '/a',
    message: 'has a field whose name must not contain NUL',
  });
  expect(textIssue({ a: ['😀', 1, null, true, undefined] })).toBeNull();
  expect(issues({ title: 'a\0' })).toEqual([{ path: '/title', message: 'must not contain NUL' }]);
});

test('JSON pointers are escaped as RFC 6901 says', () => {
  expect(textIssue({ 'a/b~c': '\0' })?.path).toBe('/a~1b~0c');
  expect(issues({ title: 'abc', 'a/b': 1 })[0]?.path).toBe('/a~1b');
});

test(`nesting of NESTING_MAX (${NESTING_MAX}) levels passes, one more does not, and 100,000 cost no stack`, () => {
  const nested = (depth: number): unknown => {
    let value: unknown = 'x';
    for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { a: value };
    return value;
  };
  expect(textIssue(nested(NESTING_MAX))).toBeNull();
  expect(textIssue(nested(NESTING_MAX + 1))?.message).toContain(`more than ${NESTING_MAX} levels`);
  expect(textIssue(nested(100_000))?.message).toContain(`more than ${NESTING_MAX} levels`);
});

test('a shape alone looks at the form and not into strings', () => {
  const shape = compileShape(Type.Object({ any: Type.Unknown() }, { additionalProperties: false }));
  expect(shape({ any: 'a\0' })).toBeNull();
  expect(shape({})).toEqual([{ path: '/any', message: 'is required' }]);
});
