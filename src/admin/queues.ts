/** The queues from the command line: what the dashboard shows first, and trying again what failed. */
import { TIMED_OUT, within } from '../base/clock.ts';
import { createLog } from '../base/log.ts';
import { connectStanding } from '../store/redis-side.ts';
import { readFigures } from '../workers/queue-metrics.ts';
import { closeQueues, createQueues, QUEUE_NAMES, type QueueName, type Queues } from '../workers/queues.ts';
import { type AdminParts, type Arguments, type Command, Misused, Refused, table } from './command.ts';

/** The queues' connection waits for Redis as long as it takes; we do not. */
const ANSWER_WITHIN_MS = 3_000;

/** Commands on queues, by name. */
export const QUEUE_COMMANDS: Readonly<Record<string, Command>> = {
  queues: {
    synopsis: 'queues [retry <queue>]',
    does: 'Shows what waits in the queues and what failed; retry tries the failed jobs of a queue again.',
    options: {},
    positionals: [0, 2],
    run: queues,
  },
};

async function queues(parts: AdminParts, { positionals: [what, name, ...more] }: Arguments): Promise<string> {
  if (what === undefined) return withQueues(parts, (queues) => show(parts, queues));
  const queue = QUEUE_NAMES.find((known) => known === name);
  if (what !== 'retry' || name === undefined || more.length > 0)
    throw new Misused('queues takes nothing, or retry <queue>.');
  if (queue === undefined) throw new Misused(`There is no queue ${name}; there are ${QUEUE_NAMES.join(', ')}.`);
  return withQueues(parts, (queues) => retry(queues, queue));
}

async function show(parts: AdminParts, queues: Queues): Promise<string> {
  const now = parts.clock.now();
  const figures = await Promise.all(QUEUE_NAMES.map((name) => readFigures(queues[name].bull, now)));
  const rows = figures.map(({ queue, jobs, oldest_ms }) => [
    queue,
    ...[jobs.waiting, jobs.active, jobs.delayed, jobs.failed].map(String),
    jobs.waiting === 0 ? '-' : `${Math.round(oldest_ms / 1000)} s`,
  ]);
  return table(['queue', 'waiting', 'active', 'delayed', 'failed', 'oldest'], rows);
}

async function retry(queues: Queues, name: QueueName): Promise<string> {
  const { bull } = queues[name];
  const count = await bull.getFailedCount();
  await bull.retryJobs({ state: 'failed' });
  return `${count} failed ${count === 1 ? 'job' : 'jobs'} of ${name} will be tried again.`;
}

async function withQueues(parts: AdminParts, work: (queues: Queues) => Promise<string>): Promise<string> {
  const settings = parts.redis();
  if (settings === null) throw new Refused('REDIS_URL is required to see the queues.');
  const log = createLog({ level: 'silent', service: 'admin', node_id: 'admin' });
  const redis = connectStanding(settings, { name: 'concord:admin', log });
  const queues = createQueues(redis, log);
  try {
    const answer = await within(parts.clock, ANSWER_WITHIN_MS, work(queues));
    if (answer === TIMED_OUT) throw new Refused('Redis does not answer. Is Concord running, and is REDIS_URL right?');
    return answer;
  } finally {
    redis.disconnect();
    await closeQueues(queues).catch(() => {});
  }
}
