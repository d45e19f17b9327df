import { describe, expect, test } from 'bun:test';
import { seededRandom } from '../base/random.ts';
import { SyncCount } from './sync-count.ts';

describe('what a provider may take off its count', () => {
  test('is one for each update on disk, once', () => {
    const count = new SyncCount();
    for (let i = 0; i < 3; i++) count.handed(false);
    expect([count.covered(0), count.covered(2), count.covered(2), count.covered(3), count.covered(1)]).toEqual([
      0, 2, 0, 1, 0,
    ]);
  });

  test('is one for the step 2 after a step 1, and nothing for others', () => {
    const count = new SyncCount();
    count.restarted();
    count.handed(true);
    expect(count.covered(1)).toBe(1);
    count.handed(true);
    count.handed(false);
    count.handed(true);
    expect([count.covered(2), count.covered(4)]).toEqual([0, 1]);
  });

  test('is one for the step 2 of a client that sent no step 1', () => {
    const count = new SyncCount();
    count.handed(true);
    expect(count.covered(1)).toBe(1);
  });

  test('is nothing for what came before it began to count anew', () => {
    const count = new SyncCount();
    for (let i = 0; i < 3; i++) count.handed(false);
    expect(count.covered(1)).toBe(1);
    count.restarted();
    count.handed(true);
    count.handed(false);
    expect([count.covered(3), count.covered(4), count.covered(5)]).toEqual([0, 1, 1]);
  });
});

test('a provider’s zero means that its changes are on disk, and the other way round, whatever it sends', () => {
  const random = seededRandom(4242);
  const count = new SyncCount();
  /** For each frame whether it holds a change, rather than an answer that the server asked for by itself. */
  const frames: boolean[] = [];
  let [provider, covered] = [0, 0];
  let answering = false;
  for (let i = 0; i < 20_000; i++) {
    const dice = random.uint32() % 10;
    if (dice < 4) {
      provider += 1;
      frames.push(true);
      count.handed(false);
    } else if (dice === 4) {
      provider = 1;
      answering = true;
      count.restarted();
    } else if (dice === 5 && i > 0) {
      // The first of these that was not asked for by a step 1 of the provider counts as the answer to the join.
      frames.push(answering || frames.length === 0);
      answering = false;
      count.handed(true);
    } else if (covered < frames.length) {
      covered += 1 + (random.uint32() % (frames.length - covered));
      provider = Math.max(0, provider - count.covered(covered));
    }
    if (provider === 0) expect(frames.slice(covered)).not.toContain(true);
    if (covered === frames.length && !answering) expect(provider).toBe(0);
  }
});
