import { expect, test } from 'bun:test';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { stepBehind } from './priority.ts';

test.if(process.platform === 'linux')('a thread that steps behind takes no other with it', async () => {
  const code = `
    import { getPriority } from 'node:os';
    import { stepBehind } from ${JSON.stringify(join(import.meta.dir, 'priority.ts'))};
    stepBehind(12);
    self.postMessage(getPriority(0));`;
  const thread = new Worker(URL.createObjectURL(new Blob([code], { type: 'application/typescript' })));
  const before = getPriority(0);
  const told = await new Promise((resolve, reject) => {
    thread.onmessage = ({ data }) => resolve(data);
    thread.onerror = ({ message }) => reject(new Error(message));
  });
  thread.terminate();
  expect(told).toBe(12);
  expect(getPriority(0)).toBe(before);
});

test('one that may not step where it wants goes on where it is', () => {
  const before = getPriority(0);
  stepBehind(Number.NaN);
  expect(getPriority(0)).toBe(before);
});
