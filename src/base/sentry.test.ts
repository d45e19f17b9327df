import { expect, test } from 'bun:test';
import { createReporter, silentReporter } from './sentry.ts';

const FACTS = { release: '0.1.0', node_id: 'node-1' };
const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl';

test('without an address nothing is started', () => {
  expect(createReporter(null, FACTS)).toBe(silentReporter);
  expect(() => silentReporter.report(new Error('x'), {})).not.toThrow();
});

test('a report holds the error, its cause and the ids that were named, and no secret', async () => {
  const received: string[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      received.push(await request.text());
      return Response.json({});
    },
  });
  const reporter = createReporter(`http://key@127.0.0.1:${server.port}/1`, FACTS);
  const cause = new Error('connect to postgres://concord:hunter2@db/concord?sslkey=abc failed');
  reporter.report(new TypeError(`cannot read GET /v1/collab/x?token=${JWT}`, { cause }), { request_id: 'r-17' });
  await reporter.close(2_000);
  await server.stop(true);
  const sent = received.join('\n');
  expect(sent).toContain('TypeError');
  expect(sent).toContain('r-17');
  expect(sent).toContain('node-1');
  expect(sent).toContain('connect to postgres');
  for (const secret of [JWT, 'eyJhbGci', 'hunter2', 'sslkey=abc']) expect(sent).not.toContain(secret);
  expect(sent).not.toContain('"breadcrumbs":[{');
});
