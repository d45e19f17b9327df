import { describe, expect, test } from 'bun:test';
import { conformityFaults } from '../../test/support/openapi-conformity.ts';
import { systemClock } from '../base/clock.ts';
import { createLog } from '../base/log.ts';
import { createMetrics } from '../base/metrics.ts';
import { systemRandom } from '../base/random.ts';
import { silentReporter } from '../base/sentry.ts';
import { ERRORS, type ErrorCode } from '../protocol/errors.ts';
import { createHttpApp, type HttpParts } from './app.ts';

/** The page is made of the routes alone: nothing behind them is reached. */
const unreached = {} as never;
const app = createHttpApp({
  clock: systemClock,
  random: systemRandom,
  log: createLog({ level: 'silent', service: 'test', node_id: 'test' }),
  metrics: createMetrics(),
  trust_proxy: false,
  cors_origins: [],
  version: '1.2.3',
  users: unreached,
  documents: unreached,
  collaboration: unreached,
  worker: null,
  ready: async () => ({ ok: true }),
  authenticate: async () => ({ ok: false, code: 'UNAUTHENTICATED' }),
  limits: null,
  isAdmin: async () => false,
  reporter: silentReporter,
} satisfies HttpParts);

const get = (path: string): Promise<Response> => app.handle(new Request(`http://concord.test${path}`));

interface Media {
  readonly schema: { readonly $ref?: string };
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}
interface Operation {
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description: string;
  readonly operationId: string;
  readonly security: readonly object[];
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly required: boolean }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> };
  readonly responses: Readonly<
    Record<string, { readonly description: string; readonly content: Readonly<Record<string, Media>> }>
  >;
}

const published = await (await get('/docs/json')).json();
const operations = Object.entries(published.paths as Record<string, Record<string, Operation>>).flatMap(
  ([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      method,
      path,
      operation,
    })),
);
const enveloped = operations.filter(({ path }) => path !== '/metrics');

describe('the API page', () => {
  test('loads everything from here: no script, style, font or image comes from elsewhere', async () => {
    const response = await get('/docs');
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'");
    const page = await response.text();
    const addresses = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => address ?? '');
    expect(addresses).toHaveLength(4);
    for (const address of addresses) {
      expect(address).toStartWith('/docs/assets/');
      const asset = await get(address);
      expect([address, asset.status, asset.headers.get('cache-control')]).toEqual([
        address,
        200,
        'public, max-age=3600',
      ]);
    }
    expect(page).not.toMatch(/https?:\/\/|<script>/);
    const style = await (await get('/docs/assets/swagger-ui.css')).text();
    expect(style).not.toMatch(/@import|url\(["']?(?!["']?data:)/);
    const setup = await (await get('/docs/assets/setup.js')).text();
    expect(setup).toContain("url: '/docs/json'");
    expect(setup).toContain('validatorUrl: null');
  });

  test('does not serve files that it does not name', async () => {
    for (const path of ['/docs/assets/package.json', '/docs/assets/..%2fpackage.json', '/docs/assets/'])
      expect((await get(path)).status).toBe(404);
  });
});

describe('the OpenAPI document', () => {
  test('is OpenAPI 3.0 with our version and way to sign in', () => {
    expect(published.openapi).toBe('3.0.3');
    expect(published.info).toMatchObject({ title: 'Concord', version: '1.2.3' });
    expect(published.components.securitySchemes.bearer).toEqual({
      type: 'http',
      scheme: 'bearer',
      bearerFormat: 'JWT',
    });
  });

  test('has every route of accounts, sessions and health', () => {
    const names = operations.map(({ name }) => name);
    for (const name of [
      'POST /v1/auth/register',
      'POST /v1/auth/login',
      'POST /v1/auth/refresh',
      'POST /v1/auth/logout',
      'GET /v1/auth/sessions',
      'DELETE /v1/auth/sessions/{session_id}',
      'GET /v1/users/me',
      'PATCH /v1/users/me',
      'DELETE /v1/users/me',
      'POST /v1/users/me/password',
      'GET /v1/users/{user_id}',
      'GET /healthz',
      'GET /readyz',
      'GET /metrics',
    ])
      expect(names).toContain(name);
    expect(names.filter((name) => name.includes('/docs'))).toEqual([]);
  });

  test('says of every route what it is for, under a name of its own', () => {
    for (const { name, operation } of operations) {
      expect([name, operation.tags.length]).toEqual([name, 1]);
      expect([name, operation.summary.length > 5, operation.description.length > 10]).toEqual([name, true, true]);
    }
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('names every parameter of every path', () => {
    for (const { name, path, operation } of operations) {
      const in_path = [...path.matchAll(/\{([^}]+)\}/g)].map(([, parameter]) => parameter);
      const named = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
      expect([name, named.map((parameter) => parameter.name)]).toEqual([name, in_path as string[]]);
      expect([name, named.every((parameter) => parameter.required)]).toEqual([name, true]);
    }
  });

  test('has an example of every success, which fits its own schema', () => {
    for (const { name, method, path, operation } of enveloped) {
      const successes = Object.entries(operation.responses).filter(([status]) => status.startsWith('2'));
      expect([name, successes.length > 0]).toEqual([name, true]);
      for (const [status, { content }] of successes) {
        const example = content['application/json']?.example;
        const answer = { status: Number(status), body: example };
        expect(conformityFaults(published, method, path, answer)).toEqual([]);
      }
    }
  });

  test('has an example of every body that is asked for', () => {
    const bodies = enveloped.filter(({ operation }) => operation.requestBody !== undefined);
    for (const { name, operation } of bodies) {
      expect([name, Object.keys(operation.requestBody?.content ?? {})]).toEqual([name, ['application/json']]);
      expect([name, operation.requestBody?.content['application/json']?.example]).not.toEqual([name, undefined]);
    }
    expect(bodies.length).toBeGreaterThan(5);
  });

  test('lists the refusals of every route by status, each with its code and an example', () => {
    for (const { name, operation } of enveloped)
      for (const [status, { content, description }] of Object.entries(operation.responses)) {
        if (status.startsWith('2')) continue;
        const media = content['application/json'];
        expect([name, media?.schema.$ref]).toEqual([name, '#/components/schemas/Error']);
        for (const [code, example] of Object.entries(media?.examples ?? {})) {
          expect([name, code, String(ERRORS[code as ErrorCode].status)]).toEqual([name, code, status]);
          expect(example.value).toMatchObject({ success: false, error: { code } });
          expect(description).toContain(code);
        }
      }
  });

  test('says who needs a token and who does not', () => {
    const open = operations.filter(({ operation }) => operation.security.length === 0).map(({ path }) => path);
    expect(open.sort()).toEqual([
      '/healthz',
      '/metrics',
      '/readyz',
      '/v1/auth/login',
      '/v1/auth/refresh',
      '/v1/auth/register',
    ]);
    for (const { name, operation } of operations.filter(({ operation }) => operation.security.length > 0))
      expect([name, Object.keys(operation.responses)]).toEqual([name, expect.arrayContaining(['401'])]);
  });

  test('speaks OpenAPI 3.0’s own dialect, and none of our keywords', () => {
    const text = JSON.stringify(published);
    for (const keyword of ['"x-refusal"', '"examples":[', '"const"', '"type":"null"'])
      expect(text).not.toContain(keyword);
  });
});
