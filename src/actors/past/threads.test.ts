/** How many questions about the past a node answers at a time, how many wait, and what becomes of a thread that ends. */
import { expect, test } from 'bun:test';
import { LIMITS } from '../../protocol/limits.ts';
import { answer, IDLE_MAX } from './threads.ts';

const RUNNING = LIMITS.history_questions_at_once_max;
const WAITING = LIMITS.history_questions_waiting_max;

test(`history_questions_at_once_max (${RUNNING}) are answered at a time and history_questions_waiting_max (${WAITING}) wait; one more is RATE_LIMITED`, async () => {
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
  let begun = 0;
  const ask = () =>
    answer({ kind: 'text' }, async () => {
      begun += 1;
      await held;
    });
  const taken = Array.from({ length: RUNNING + WAITING }, ask);
  expect(await ask().catch((error) => error)).toMatchObject({ code: 'RATE_LIMITED', retry_after_s: 5 });
  expect(begun).toBe(RUNNING);
  letGo();
  expect(await Promise.all(taken)).toHaveLength(RUNNING + WAITING);
  expect(begun).toBe(RUNNING + WAITING);
  expect(await ask()).toBeDefined();
});

test('a thread that ended, kept for the next question or in the middle of one, has nobody wait for it', async () => {
  const json = JSON.stringify([{ insert: 'x'.repeat(600_000) }]);
  // Whatever threads are kept of questions before are busy meanwhile, so that those of this test are the only ones.
  const { promise: over, resolve: letGo } = Promise.withResolvers<void>();
  const busy = Array.from({ length: IDLE_MAX }, () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const done = answer({ kind: 'text' }, async (feed) => {
      await feed({ kind: 'text', json });
      resolve();
      await over;
    });
    return { begun: promise, done };
  });
  await Promise.all(busy.map(({ begun }) => begun));
  const threads: Worker[] = [];
  const Ordinary = globalThis.Worker;
  globalThis.Worker = class extends Ordinary {
    constructor(...args: ConstructorParameters<typeof Ordinary>) {
      super(...args);
      threads.push(this);
    }
  };
  const end = () => {
    const last = threads.at(-1);
    last?.terminate();
    last?.onerror?.(new ErrorEvent('error', { message: 'out of memory' }));
  };
  const ask = (between: () => void) =>
    answer({ kind: 'text' }, async (feed) => {
      await feed({ kind: 'text', json });
      between();
      await feed({ kind: 'text', json });
    }).then(
      ({ ops_json }) => ops_json === json,
      (error) => String(error),
    );
  try {
    expect(await ask(() => {})).toBe(true);
    end();
    expect(await ask(() => {})).toBe(true);
    expect(threads).toHaveLength(2);
    expect(await ask(end)).toContain('out of memory');
    expect(await ask(() => {})).toBe(true);
  } finally {
    globalThis.Worker = Ordinary;
    letGo();
    await Promise.all(busy.map(({ done }) => done));
  }
});
