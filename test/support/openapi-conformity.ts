/**
 * Holds answers against a published OpenAPI 3.0 document: the operation must name the status, the body must fit its
 * schema, fields that no schema names are faults. Knows the part of JSON Schema that the document uses, and fails loudly
 * on any other.
 */

/** As it comes out of `JSON.parse`. */
type Schema = { readonly [key: string]: unknown };

interface Published {
  readonly paths: { readonly [path: string]: { readonly [method: string]: unknown } };
  readonly components: { readonly schemas: { readonly [name: string]: Schema } };
}

const KEYWORDS = new Set([
  '$ref',
  'additionalProperties',
  'anyOf',
  'description',
  'enum',
  'example',
  'format',
  'items',
  'maxLength',
  'maximum',
  'minLength',
  'minimum',
  'nullable',
  'pattern',
  'properties',
  'required',
  'type',
]);

/** What is wrong with an answer, in words; empty when all is right. Paths that are not in the document are not judged. */
export function conformityFaults(
  published: Published,
  method: string,
  path: string,
  answer: { readonly status: number; readonly body: unknown },
): readonly string[] {
  const plain = path.split('?', 1)[0] ?? '';
  const templates = Object.keys(published.paths).filter((template) =>
    new RegExp(`^${template.replace(/\{[^}]+\}/g, '[^/]+')}$`).test(plain),
  );
  const template = templates.find((candidate) => !candidate.includes('{')) ?? templates[0];
  if (template === undefined) return [];
  const operation = published.paths[template]?.[method.toLowerCase()];
  if (operation === undefined) return [];
  const { responses } = operation as { responses: { [status: string]: { content?: { [type: string]: Schema } } } };
  const response = responses[answer.status];
  if (response === undefined) return [`${method} ${template} does not document status ${answer.status}`];
  const media = response.content?.['application/json'];
  const faults: string[] = [];
  judge(published, media?.schema as Schema, answer.body, `${method} ${template}`, faults);
  const examples = media?.examples as { [code: string]: unknown } | undefined;
  const code = (answer.body as { error?: { code?: string } }).error?.code;
  if (code !== undefined && examples?.[code] === undefined)
    faults.push(`${method} ${template} does not document ${code}`);
  return faults;
}

function judge(published: Published, schema: Schema, value: unknown, at: string, faults: string[]): void {
  if (typeof schema.$ref === 'string') {
    const target = published.components.schemas[schema.$ref.replace('#/components/schemas/', '')];
    if (target === undefined) faults.push(`${at}: ${schema.$ref} is not there`);
    else judge(published, target, value, at, faults);
    return;
  }
  for (const keyword of Object.keys(schema)) if (!KEYWORDS.has(keyword)) faults.push(`${at}: unknown ${keyword}`);
  if (value === null && schema.nullable === true) return;
  if (Array.isArray(schema.anyOf) && !schema.anyOf.some((branch) => fits(published, branch, value)))
    faults.push(`${at}: fits no branch of anyOf`);
  if (Array.isArray(schema.enum) && !schema.enum.includes(value)) faults.push(`${at}: not in ${schema.enum}`);
  if (typeof schema.type === 'string' && !isOfType(schema.type, value)) {
    faults.push(`${at}: not ${schema.type}`);
    return;
  }
  if (typeof value === 'string') judgeText(schema, value, at, faults);
  if (Array.isArray(value))
    for (const [index, item] of value.entries())
      judge(published, (schema.items ?? {}) as Schema, item, `${at}/${index}`, faults);
  else if (typeof value === 'object' && value !== null) judgeObject(published, schema, value, at, faults);
}

function fits(published: Published, schema: Schema, value: unknown): boolean {
  const faults: string[] = [];
  judge(published, schema, value, '', faults);
  return faults.length === 0;
}

function judgeText(schema: Schema, value: string, at: string, faults: string[]): void {
  if (typeof schema.pattern === 'string' && !new RegExp(schema.pattern, 'u').test(value))
    faults.push(`${at}: '${value}' does not match ${schema.pattern}`);
  if (schema.format === 'date-time' && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value))
    faults.push(`${at}: '${value}' is not a time`);
}

function judgeObject(published: Published, schema: Schema, value: object, at: string, faults: string[]): void {
  const properties = (schema.properties ?? {}) as { readonly [name: string]: Schema };
  for (const name of (schema.required ?? []) as string[]) if (!(name in value)) faults.push(`${at}/${name}: missing`);
  for (const [name, item] of Object.entries(value)) {
    const property = properties[name];
    if (property !== undefined) judge(published, property, item, `${at}/${name}`, faults);
    else if (schema.additionalProperties === false) faults.push(`${at}/${name}: not documented`);
  }
}

function isOfType(type: string, value: unknown): boolean {
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  return typeof value === type;
}
