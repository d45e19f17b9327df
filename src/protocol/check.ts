/**
 * Judges a value by its schema and says what is wrong in words for people: one issue per field, named by its JSON
 * pointer. Nothing is coerced, defaulted or dropped: what passes is exactly what came in.
 *
 * Before the schema looks, {@link textIssue} looks at every string, wherever it stands: NUL cannot be stored by
 * PostgreSQL and a lone surrogate has no UTF-8, so both are refused at the door, as is nesting so deep that a recursive
 * reader further in could run out of stack.
 */
import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import type { TLocalizedValidationError } from 'typebox/error';
import { Settings } from 'typebox/system';
import { type FieldIssue, invalid } from './errors.ts';

/** Deeper JSON is refused; no shape of ours needs more than a few levels. */
export const NESTING_MAX = 64;

/** Issues named in one refusal. TypeBox gathers 8 by default and reports an unknown field twice. */
const ISSUES_MAX = 32;
Settings.Set({ maxErrors: 4 * ISSUES_MAX });

/** Throws `VALIDATION_ERROR` unless `value` is what the schema says, and types it. */
export type Check<Schema extends TSchema> = (value: unknown) => Static<Schema>;

/** Compiles a schema once. */
export function compileCheck<Schema extends TSchema>(schema: Schema): Check<Schema> {
  const shapeIssues = compileShape(schema);
  return (value) => {
    const bad = textIssue(value);
    if (bad !== null) throw invalid([bad]);
    const issues = shapeIssues(value);
    if (issues === null) return value as Static<Schema>;
    throw invalid(issues);
  };
}

/** Compiles a schema to a check of the form alone, for what is read at every keystroke; null when nothing is wrong. */
export function compileShape(schema: TSchema): (value: unknown) => readonly FieldIssue[] | null {
  const validator = Compile(schema);
  return (value) => (validator.Check(value) ? null : fieldIssues(validator.Errors(value), schema));
}

interface Visit {
  readonly value: object;
  readonly parent: Visit | null;
  readonly key: string;
  readonly depth: number;
}

/** The first string (or field name) that cannot be stored, or null. Walks without recursion: depth is the caller's. */
export function textIssue(value: unknown): FieldIssue | null {
  const pending: Visit[] = [];
  const look = (item: unknown, key: string, parent: Visit | null): FieldIssue | null => {
    if (typeof item === 'string') {
      const reason = textFault(item);
      return reason === null ? null : { path: pointerTo(parent, key), message: reason };
    }
    if (typeof item !== 'object' || item === null) return null;
    const depth = parent === null ? 1 : parent.depth + 1;
    if (depth > NESTING_MAX) return { path: '', message: `the body is nested more than ${NESTING_MAX} levels deep` };
    pending.push({ value: item, parent, key, depth });
    return null;
  };
  let issue = look(value, '', null);
  for (let visit = pending.pop(); issue === null && visit !== undefined; visit = pending.pop())
    issue = lookInside(visit, look);
  return issue;
}

function lookInside(
  visit: Visit,
  look: (item: unknown, key: string, parent: Visit) => FieldIssue | null,
): FieldIssue | null {
  if (Array.isArray(visit.value)) {
    for (const [index, item] of visit.value.entries()) {
      const issue = look(item, String(index), visit);
      if (issue !== null) return issue;
    }
    return null;
  }
  for (const [key, item] of Object.entries(visit.value)) {
    const fault = textFault(key);
    if (fault !== null) return { path: pointerTo(visit.parent, visit.key), message: `has a field whose name ${fault}` };
    const issue = look(item, key, visit);
    if (issue !== null) return issue;
  }
  return null;
}

function textFault(item: string): string | null {
  if (item.includes('\0')) return 'must not contain NUL';
  return item.isWellFormed() ? null : 'must not contain half of a surrogate pair';
}

function pointerTo(parent: Visit | null, key: string): string {
  const steps: string[] = [];
  let step = key;
  for (let visit = parent; visit !== null; visit = visit.parent) {
    steps.unshift(step);
    step = visit.key;
  }
  return steps.map((name) => `/${escapePointer(name)}`).join('');
}

/** RFC 6901 section 3. */
function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

/**
 * TypeBox's errors as ours. It reports an unknown field at the parent and again at the field, every branch of a union,
 * and missing fields as one list at the parent: here each field speaks once.
 */
function fieldIssues(errors: readonly TLocalizedValidationError[], schema: TSchema): readonly FieldIssue[] {
  const messages = new Map<string, Set<string>>();
  const add = (path: string, message: string): void => {
    messages.set(path, (messages.get(path) ?? new Set()).add(message));
  };
  for (const error of errors) {
    if (error.keyword === 'additionalProperties' || error.keyword === 'anyOf') continue;
    if (error.keyword === 'required') {
      for (const name of error.params.requiredProperties)
        add(`${error.instancePath}/${escapePointer(name)}`, 'is required');
    } else {
      add(error.instancePath, sentence(error, schema));
    }
  }
  const union = new Set(errors.filter((error) => error.keyword === 'anyOf').map((error) => error.instancePath));
  return [...messages].slice(0, ISSUES_MAX).map(([path, said]) => {
    const all = [...said];
    return { path, message: union.has(path) ? all.join(', or ') : (all[0] ?? 'is not valid') };
  });
}

const KINDS: Readonly<Record<string, string>> = {
  array: 'a list',
  boolean: 'true or false',
  integer: 'a whole number',
  null: 'null',
  number: 'a number',
  object: 'an object',
  string: 'a string',
};

function sentence(error: TLocalizedValidationError, schema: TSchema): string {
  switch (error.keyword) {
    case 'boolean':
      return 'is not a known field';
    case 'type':
      return `must be ${[error.params.type]
        .flat()
        .map((kind) => KINDS[kind] ?? kind)
        .join(' or ')}`;
    case 'enum':
      return `must be one of ${error.params.allowedValues.join(', ')}`;
    case 'const':
      return `must be ${JSON.stringify(error.params.allowedValue)}`;
    case 'minLength':
      return error.params.limit === 1 ? 'must not be empty' : `must have at least ${error.params.limit} characters`;
    case 'maxLength':
      return `must have at most ${error.params.limit} characters`;
    case 'minimum':
      return `must be at least ${error.params.limit}`;
    case 'maximum':
      return `must be at most ${error.params.limit}`;
    default:
      return refusalAt(schema, error.schemaPath) ?? error.message;
  }
}

/** The `x-refusal` of the sub-schema that `schema_path` (`#/properties/limit`) points to. */
function refusalAt(schema: TSchema, schema_path: string): string | null {
  let node: unknown = schema;
  for (const step of schema_path.split('/').slice(1)) {
    if (typeof node !== 'object' || node === null) return null;
    node = Reflect.get(node, step.replaceAll('~1', '/').replaceAll('~0', '~'));
  }
  if (typeof node !== 'object' || node === null || !('x-refusal' in node)) return null;
  return typeof node['x-refusal'] === 'string' ? node['x-refusal'] : null;
}
