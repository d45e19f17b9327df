/**
 * Turns an endpoint's spec into its OpenAPI 3.0 operation. The refusals that follow from the spec (a token is needed, a
 * body is read, …) are added here, so that a route names only those of its own.
 */
import type { DocumentDecoration } from 'elysia';
import type { TObject, TSchema } from 'typebox';
import { ConcordError, ERRORS, type ErrorCode, errorBody } from '../protocol/errors.ts';

/** What of a spec the page shows. */
export interface DocumentedSpec {
  readonly method: string;
  readonly tag: string;
  readonly summary: string;
  readonly description: string;
  readonly auth: 'none' | 'user' | 'admin';
  readonly unlimited?: true;
  readonly params?: TObject;
  readonly query?: TObject;
  readonly body?: TSchema;
  readonly body_example?: unknown;
  readonly status: 200 | 201;
  readonly other_status?: 200 | 201;
  readonly data: TSchema;
  readonly example: unknown;
  readonly errors: readonly ErrorCode[];
}

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

/** The operation of a route. */
export function operationOf(spec: DocumentedSpec): DocumentDecoration {
  const operation = {
    tags: [spec.tag],
    summary: spec.summary,
    description: spec.description,
    parameters: [...parameters('path', spec.params), ...parameters('query', spec.query)],
    ...(spec.auth === 'none' ? { security: [] } : { security: [{ bearer: [] }] }),
    ...(spec.body === undefined
      ? {}
      : { requestBody: { required: true, content: json(openApiSchema(spec.body), spec.body_example) } }),
    responses: { ...successes(spec), ...refusals(codesOf(spec)) },
  };
  return operation as unknown as DocumentDecoration;
}

/** Every code that a route may answer with. */
export function codesOf(spec: DocumentedSpec): readonly ErrorCode[] {
  const codes: ErrorCode[] = ['VALIDATION_ERROR'];
  if (spec.auth !== 'none') codes.push('UNAUTHENTICATED', 'TOKEN_EXPIRED', 'TOKEN_REVOKED');
  if (spec.auth === 'admin') codes.push('FORBIDDEN');
  if (spec.method !== 'GET') codes.push('PAYLOAD_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE');
  if (spec.unlimited === undefined) codes.push('RATE_LIMITED');
  codes.push(...spec.errors, 'INTERNAL', 'UNAVAILABLE');
  return [...new Set(codes)];
}

function successes(spec: DocumentedSpec): JsonObject {
  const schema = {
    type: 'object',
    required: ['success', 'data'],
    properties: { success: { type: 'boolean', enum: [true] }, data: openApiSchema(spec.data) },
  };
  const content = json(schema, { success: true, data: spec.example });
  const statuses = spec.other_status === undefined ? [spec.status] : [spec.status, spec.other_status];
  return Object.fromEntries(
    statuses.map((status) => [status, { description: status === 201 ? 'Created' : 'Done', headers: HEADERS, content }]),
  );
}

const HEADERS: JsonObject = {
  'x-request-id': { description: 'Name of this exchange in our logs', schema: { type: 'string' } },
};

function refusals(codes: readonly ErrorCode[]): JsonObject {
  const by_status = Map.groupBy(codes, (code) => ERRORS[code].status);
  return Object.fromEntries(
    [...by_status].map(([status, named]) => [
      status,
      {
        description: named.map((code) => `\`${code}\`: ${ERRORS[code].message}`).join('\n\n'),
        headers: HEADERS,
        content: {
          'application/json': {
            schema: { $ref: '#/components/schemas/Error' },
            examples: Object.fromEntries(named.map((code) => [code, { value: exampleOf(code) }])),
          },
        },
      },
    ]),
  );
}

function exampleOf(code: ErrorCode): Json {
  const details = code === 'VALIDATION_ERROR' ? [{ path: '/title', message: 'is required' }] : undefined;
  return errorBody(new ConcordError(code, undefined, details)) as unknown as Json;
}

function json(schema: Json, example: unknown): JsonObject {
  return { 'application/json': { schema, ...(example === undefined ? {} : { example: example as Json }) } };
}

function parameters(where: 'path' | 'query', schema: TObject | undefined): readonly Json[] {
  if (schema === undefined) return [];
  const required = schema.required as readonly string[] | undefined;
  return Object.entries(schema.properties).map(([name, property]) => {
    const { description, example, ...rest } = openApiSchema(property) as Record<string, Json>;
    return {
      name,
      in: where,
      required: required?.includes(name) ?? false,
      schema: rest,
      ...(description === undefined ? {} : { description }),
      ...(example === undefined || where === 'path' ? {} : { example }),
    };
  });
}

/** The schema of every refusal's body, named `Error` on the page. */
export const ERROR_SCHEMA: JsonObject = {
  type: 'object',
  required: ['success', 'error'],
  properties: {
    success: { type: 'boolean', enum: [false] },
    error: {
      type: 'object',
      required: ['code', 'message'],
      properties: {
        code: { type: 'string', enum: Object.keys(ERRORS) },
        message: { type: 'string', description: 'A sentence for people; programs read `code`' },
        details: { description: 'With VALIDATION_ERROR: a list of `{path, message}`, path being a JSON pointer' },
      },
    },
  },
};

/**
 * JSON Schema as OpenAPI 3.0 knows it, which is older: `examples` becomes `example`, `const` an `enum` of one, a union
 * with null becomes `nullable`, patterns of field names become "any other field"; our own `x-refusal` is left out.
 */
export function openApiSchema(schema: TSchema): JsonObject {
  return convert(JSON.parse(JSON.stringify(schema)) as JsonObject);
}

function convert(schema: JsonObject): JsonObject {
  const {
    'x-refusal': _refusal,
    examples,
    const: constant,
    anyOf,
    properties,
    patternProperties,
    items,
    ...rest
  } = schema;
  const out: Record<string, Json> = { ...rest };
  if (Array.isArray(examples) && examples.length > 0) out.example = examples[0];
  if (constant !== undefined) out.enum = [constant];
  if (isObject(properties))
    out.properties = Object.fromEntries(
      Object.entries(properties).map(([name, value]) => [name, isObject(value) ? convert(value) : value]),
    );
  if (isObject(patternProperties)) out.additionalProperties = true;
  if (isObject(items)) out.items = convert(items);
  if (!Array.isArray(anyOf)) return out;
  const branches = anyOf.filter(isObject);
  const real = branches.filter((branch) => branch.type !== 'null').map(convert);
  if (real.length < branches.length) out.nullable = true;
  return real.length === 1 ? { ...real[0], ...out } : { ...out, anyOf: real };
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
