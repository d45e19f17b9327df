/**
 * The pieces that route schemas are made of. They are plain JSON Schema (TypeBox), and each is used twice: compiled to
 * judge what comes in, and printed in the OpenAPI page; so what the page says is what the server does.
 *
 * A keyword of our own, `x-refusal`, holds the sentence for a value that does not fit where the keyword that failed
 * (a pattern, mostly) would say nothing to a person.
 */
import Type, { type Static, type TObject, type TSchema } from 'typebox';
import { invalidField } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';

const UUID_PATTERN = '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$';
const UUID_EXAMPLE = '0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10';

/** An id, in either case: the endpoint lower-cases those in paths, a handler those in bodies. */
export function uuid(description = 'UUID') {
  return Type.String({
    pattern: UUID_PATTERN,
    description,
    examples: [UUID_EXAMPLE],
    'x-refusal': 'must be a UUID',
  });
}

/** Text of `min` to `max` characters (Unicode code points). With `min` of at least 1 it is not all blanks either. */
export function text(min: number, max: number, description: string, example: string) {
  const blank = min > 0 ? { pattern: '\\S', 'x-refusal': 'must not be blank' } : {};
  return Type.String({ minLength: min, maxLength: max, description, examples: [example], ...blank });
}

/** An e-mail address, by length alone: its form is judged where it is set. */
export const EMAIL = text(1, LIMITS.email_chars_max, 'E-mail address; case does not matter', 'ada@example.org');

/** One of a few words. */
export function oneOf<Words extends string[]>(words: readonly [...Words], description: string) {
  return Type.Enum(words, { type: 'string', description, examples: [words[0] ?? ''] });
}

/** A moment, as every response writes it. */
export function moment(description: string) {
  return Type.String({ format: 'date-time', description, examples: ['2026-03-01T09:30:00.000Z'] });
}

/** The `params` of a route: each is a UUID. */
export function idParams<const Names extends readonly string[]>(...names: Names): TObject<IdProperties<Names>> {
  const properties = Object.fromEntries(names.map((name) => [name, uuid()]));
  return strictObject(properties as IdProperties<Names>);
}

type IdProperties<Names extends readonly string[]> = { [Name in Names[number]]: ReturnType<typeof uuid> };

/** An object that takes the named fields and no others. */
export function strictObject<Fields extends Record<string, TSchema>>(fields: Fields, description?: string) {
  return Type.Object(fields, { additionalProperties: false, ...(description === undefined ? {} : { description }) });
}

/** `?limit=` and `?cursor=`, to be spread into a list's query schema. */
export const PAGE_FIELDS = {
  limit: Type.Optional(
    Type.String({
      pattern: '^(?:[1-9][0-9]?|100)$',
      description: `How many items at most, 1 to ${LIMITS.page_items_max}; ${LIMITS.page_items_default} when absent`,
      examples: ['20'],
      'x-refusal': `must be a whole number from 1 to ${LIMITS.page_items_max}`,
    }),
  ),
  cursor: Type.Optional(Type.String({ maxLength: 1024, description: 'The `next_cursor` of the page before' })),
};

/** The `data` of a list. */
export function pageOf<Item extends TSchema>(item: Item) {
  return strictObject({
    items: Type.Array(item),
    next_cursor: Type.Union([Type.String(), Type.Null()], {
      description: 'Send it as `cursor` for the next page; null on the last',
      examples: [null],
    }),
  });
}

/** What a list route was asked for. */
export interface PageRequest {
  /** 1 to 100. */
  readonly limit: number;
  /** Key of the last item of the page before, null for the first page. */
  readonly after: string | null;
}

/** One page of a list. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next_cursor: string | null;
}

/**
 * Reads `limit` and `cursor` of a query that {@link PAGE_FIELDS} has passed. `isKey` says whether a decoded cursor is
 * a key that this list could have given out; anything else is a `VALIDATION_ERROR`.
 */
export function readPage(
  query: { readonly limit?: string; readonly cursor?: string },
  isKey: (key: string) => boolean,
): PageRequest {
  const limit = query.limit === undefined ? LIMITS.page_items_default : Number(query.limit);
  if (query.cursor === undefined) return { limit, after: null };
  const key = Buffer.from(query.cursor, 'base64url').toString('utf8');
  if (cursorOf(key) !== query.cursor || !isKey(key)) throw invalidField('/cursor', 'is not a cursor of this list');
  return { limit, after: key };
}

/**
 * Makes a page of up to `limit + 1` rows: the extra one is not shown, it only tells that there is more.
 * `keyOf` names a row in the order of the list.
 */
export function toPage<Row, Item>(
  rows: readonly Row[],
  limit: number,
  keyOf: (row: Row) => string,
  show: (row: Row) => Item,
): Page<Item> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const more = rows.length > limit && last !== undefined;
  return { items: shown.map(show), next_cursor: more ? cursorOf(keyOf(last)) : null };
}

function cursorOf(key: string): string {
  return Buffer.from(key, 'utf8').toString('base64url');
}

/** What a value of a schema looks like to code that only reads it: deeply readonly. */
export type Shape<Schema extends TSchema> = Frozen<Static<Schema>>;

type Frozen<Value> = Value extends readonly (infer Item)[]
  ? readonly Frozen<Item>[]
  : Value extends object
    ? { readonly [Key in keyof Value]: Frozen<Value[Key]> }
    : Value;
