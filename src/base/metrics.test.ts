import { expect, test } from 'bun:test';
import { createMetrics } from './metrics.ts';

test('a process shows its CPU, memory and event-loop lag, and nothing that Bun cannot measure', async () => {
  const text = await createMetrics().registry.metrics();
  for (const name of ['process_cpu_seconds_total', 'process_resident_memory_bytes', 'nodejs_eventloop_lag_seconds'])
    expect(text).toContain(`# TYPE ${name} `);
  expect(text).not.toMatch(/nodejs_(active|heap_space|gc)_/);
});

test('every metric of ours has its name, its kind and its labels', async () => {
  const metrics = createMetrics();
  metrics.http_request_duration.observe({ method: 'GET', route: '/v1/users/me', status: 200 }, 0.002);
  metrics.sockets.inc({ door: 'json' });
  metrics.edits.inc({ door: 'yjs' }, 3);
  metrics.journal_flushes.inc({ outcome: 'ok' });
  metrics.claims.inc({ outcome: 'owned' });
  metrics.frames_refused.inc({ door: 'json', reason: 'malformed' });
  metrics.jobs.inc({ queue: 'snapshots', outcome: 'done' });
  const text = await metrics.registry.metrics();
  for (const line of [
    'http_request_duration_seconds_bucket{le="0.0025",method="GET",route="/v1/users/me",status="200"} 1',
    'concord_sockets{door="json"} 1',
    'concord_edits_total{door="yjs"} 3',
    'concord_journal_flushes_total{outcome="ok"} 1',
    'concord_claims_total{outcome="owned"} 1',
    'concord_frames_refused_total{door="json",reason="malformed"} 1',
    'concord_jobs_total{queue="snapshots",outcome="done"} 1',
    '# TYPE concord_open_actors gauge',
    '# TYPE concord_ack_latency_seconds histogram',
    '# TYPE concord_fanout_latency_seconds histogram',
    '# TYPE concord_journal_lag_seconds gauge',
    '# TYPE concord_journal_backlog_revs gauge',
    '# TYPE concord_journal_batch_rows histogram',
    '# TYPE concord_fenced_total counter',
    '# TYPE concord_actor_crashes_total counter',
    '# TYPE concord_redis_publish_failures_total counter',
  ])
    expect(text).toContain(line);
});
