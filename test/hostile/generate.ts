/**
 * Requests drawn from an OpenAPI document: for every parameter and field values that fit, values at its bounds and one beyond,
 * and values of every wrong kind. What a schema cannot say (which ids there are, which deltas fit) is lent by the caller.
 */
import type { Random } from '../../src/base/random.ts';
import { below, mutateText, mutateValue, NASTY_STRINGS, NASTY_VALUES, pick } from './mutate.ts';

/** A schema of OpenAPI 3.0, as far as it is looked at. */
export interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly nullable?: boolean;
  readonly pattern?: string;
  readonly format?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly example?: unknown;
}

/** An operation, as far as it is looked at. */
export interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: 'path' | 'query'; readonly schema: Schema }[];
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly schema: Schema; readonly example?: unknown }>>;
  };
  readonly security?: readonly unknown[];
}

/** What there is in the world, by the name of the field that wants one. */
export type Pools = Readonly<Record<string, readonly unknown[]>>;

/** A request that was drawn. */
export interface Drawn {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  /** Whether it shows a token. */
  readonly signed_in: boolean;
}

/** Draws from one operation. */
export class Generator {
  constructor(
    private readonly random: Random,
    private readonly pools: Pools,
  ) {}

  /** One request. `token` is shown where the operation wants one, mostly. */
  draw(method: string, template: string, operation: Operation, token: string): Drawn {
    const { random } = this;
    const parameters = operation.parameters ?? [];
    const path = template.replace(/\{([^}]+)\}/g, (_, name: string) => this.#pathValue(name));
    const query = parameters
      .filter((one) => one.in === 'query')
      .flatMap((one) => this.#queryValue(one.name, one.schema));
    if (random.float() < 0.05) query.push(`${this.#text(pick(random, NASTY_STRINGS))}=1`);
    const body = method === 'GET' ? null : this.#body(operation);
    const signed_in = random.float() < 0.97 && operation.security?.length !== 0;
    return {
      method,
      path: query.length === 0 ? path : `${path}?${query.join('&')}`,
      headers: {
        ...(signed_in ? { authorization: `Bearer ${token}` } : {}),
        ...(random.float() < 0.1 ? { 'x-request-id': this.#text(pick(random, NASTY_STRINGS)).slice(0, 300) } : {}),
        ...(body === null ? {} : { 'content-type': this.#contentType() }),
      },
      body,
      signed_in,
    };
  }

  #contentType(): string {
    const { random } = this;
    if (random.float() < 0.95) return 'application/json';
    return pick(random, [
      'text/plain',
      'application/json; charset=latin1',
      'application/x-www-form-urlencoded',
      'x',
      'multipart/form-data',
    ]);
  }

  #text(value: unknown): string {
    return encodeURIComponent(String(value).toWellFormed()).slice(0, 8_000);
  }

  #pathValue(name: string): string {
    const { random } = this;
    const value = random.float() < 0.85 ? pick(random, this.pools[name] ?? ['x']) : pick(random, NASTY_STRINGS);
    return random.float() < 0.05 ? String(value).toUpperCase() : this.#text(value) || 'x';
  }

  #queryValue(name: string, schema: Schema): string[] {
    const { random } = this;
    const kind = random.float();
    if (kind < 0.4) return [];
    const value = kind < 0.85 ? this.fitting(schema, name) : pick(random, NASTY_VALUES);
    const pair = `${name}=${this.#text(typeof value === 'object' ? JSON.stringify(value) : value)}`;
    return kind > 0.98 ? [pair, pair] : [pair];
  }

  #body({ requestBody }: Operation): string | null {
    const { random } = this;
    const media = requestBody?.content['application/json'];
    if (media === undefined) return random.float() < 0.02 ? '{"unasked":true}' : null;
    if (random.float() < 0.02) return null;
    const whole = random.float() < 0.2 ? media.example : this.fitting(media.schema, 'body');
    const kind = random.float();
    if (kind < 0.45) return JSON.stringify(whole) ?? 'null';
    if (kind < 0.55) return mutateText(random, JSON.stringify(whole) ?? '');
    return JSON.stringify(mutateValue(random, whole)) ?? 'null';
  }

  /** A value that the schema takes, or one that lies on its bound or just beyond. */
  fitting(schema: Schema, name: string): unknown {
    const { random } = this;
    const pool = this.pools[name];
    if (pool !== undefined && random.float() < 0.8) return pick(random, pool);
    if (schema.nullable === true && random.float() < 0.2) return null;
    if (schema.anyOf !== undefined) return this.fitting(pick(random, schema.anyOf), name);
    if (schema.enum !== undefined) return pick(random, schema.enum);
    if (schema.example !== undefined && random.float() < 0.4) return schema.example;
    switch (schema.type) {
      case 'string':
        return this.#string(schema);
      case 'integer':
      case 'number':
        return this.#number(schema);
      case 'boolean':
        return random.float() < 0.5;
      case 'array':
        return Array.from({ length: below(random, 4) }, () => this.fitting(schema.items ?? {}, 'item'));
      case 'object':
        return this.#object(schema);
      default:
        return pick(random, NASTY_VALUES);
    }
  }

  #string({ minLength = 0, maxLength = 300, example }: Schema): string {
    const { random } = this;
    const lengths = [minLength - 1, minLength, minLength + 1, maxLength - 1, maxLength, maxLength + 1, 10];
    const length = Math.max(0, pick(random, lengths));
    const unit = pick(random, ['x', 'ä', '\u{1f600}', ' x', '%', '-1']);
    return random.float() < 0.2 ? String(example ?? 'x') : unit.repeat(length).slice(0, Math.max(1, length));
  }

  #number({ minimum = 0, maximum = Number.MAX_SAFE_INTEGER }: Schema): number {
    const { random } = this;
    return pick(random, [
      minimum - 1,
      minimum,
      minimum + 1,
      below(random, 5),
      42,
      maximum - 1,
      maximum,
      maximum + 1,
      1e21,
      0.5,
    ]);
  }

  #object({ properties = {}, required = [] }: Schema): unknown {
    const { random } = this;
    const entries = Object.entries(properties).filter(([name]) => required.includes(name) || random.float() < 0.6);
    return Object.fromEntries(entries.map(([name, schema]) => [name, this.fitting(schema, name)]));
  }
}
