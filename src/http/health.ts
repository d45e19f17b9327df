/**
 * What watches a process asks here. `/healthz` says that it lives, and asks nobody else, so that a database outage does
 * not make an orchestrator kill healthy processes; `/readyz` says whether requests should be sent to it.
 */
import { Elysia } from 'elysia';
import Type from 'typebox';
import type { Metrics } from '../base/metrics.ts';
import { unavailable } from '../protocol/errors.ts';
import { type EndpointServices, endpoint } from './endpoint.ts';
import { exchangeOf } from './request.ts';
import { strictObject } from './schemas.ts';

/** Whether requests should come here now; `reason` says what is missing. */
export type Readiness = { readonly ok: true } | { readonly ok: false; readonly reason: string };

/** What these routes show. */
export interface HealthParts {
  ready(): Promise<Readiness>;
  readonly metrics: Metrics;
}

const ALIVE = strictObject({ status: Type.Literal('ok') });

/** `/healthz`, `/readyz` and `/metrics`. */
export function healthRoutes(parts: HealthParts, services: EndpointServices): Elysia {
  const app: Elysia = new Elysia({ name: 'health' });
  endpoint(app, services, {
    method: 'GET',
    path: '/healthz',
    tag: 'Health',
    summary: 'Is the process alive?',
    description: 'Answers as long as the process can answer at all.',
    auth: 'none',
    unlimited: true,
    status: 200,
    data: ALIVE,
    example: { status: 'ok' },
    errors: [],
    handle: async () => ({ status: 'ok' }) as const,
  });
  endpoint(app, services, {
    method: 'GET',
    path: '/readyz',
    tag: 'Health',
    summary: 'Should requests come here?',
    description: '200 while PostgreSQL and Redis answer; 503 with the reason otherwise, and while draining.',
    auth: 'none',
    unlimited: true,
    status: 200,
    data: ALIVE,
    example: { status: 'ok' },
    errors: [],
    async handle() {
      const readiness = await parts.ready();
      if (!readiness.ok) throw unavailable(readiness.reason);
      return { status: 'ok' } as const;
    },
  });
  app.get(
    '/metrics',
    async ({ request }) => {
      exchangeOf(request).route = '/metrics';
      const { registry } = parts.metrics;
      return new Response(await registry.metrics(), { headers: { 'content-type': registry.contentType } });
    },
    { detail: METRICS_DETAIL },
  );
  return app;
}

const METRICS_DETAIL = {
  tags: ['Health'],
  summary: 'Prometheus metrics',
  description: 'Text exposition format 0.0.4. Not wrapped in an envelope.',
  security: [],
  responses: { 200: { description: 'Metrics', content: { 'text/plain': { schema: { type: 'string' as const } } } } },
};
