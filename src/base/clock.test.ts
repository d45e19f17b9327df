import { describe, expect, test } from 'bun:test';
import { isoTime, ManualClock, pause, systemClock, TIMED_OUT, within } from './clock.ts';

describe('ManualClock', () => {
  test('stands still until it is advanced', () => {
    const clock = new ManualClock(1_000);
    const ran: string[] = [];
    clock.after(0, () => ran.push('after'));
    clock.endOfTurn(() => ran.push('end of turn'));
    expect([clock.now(), clock.monotonic(), ran]).toEqual([1_000, 1_000, []]);
    clock.advance(0);
    expect(ran).toEqual(['after', 'end of turn']);
    clock.advance(250);
    expect(clock.now()).toBe(1_250);
  });

  test('runs what is due in the order of its moments, each at its own, and what is asked for meanwhile too', () => {
    const clock = new ManualClock(0);
    const ran: [string, number][] = [];
    const note = (name: string) => () => void ran.push([name, clock.now()]);
    clock.after(30, note('third'));
    clock.after(10, () => {
      note('first')();
      clock.after(5, note('second'));
    });
    clock.after(30, note('fourth'));
    clock.after(31, note('late'));
    clock.advance(30);
    expect(ran).toEqual([
      ['first', 10],
      ['second', 15],
      ['third', 30],
      ['fourth', 30],
    ]);
    expect(clock.now()).toBe(30);
  });

  test('a repeated callback runs once per interval until it is cancelled, also from within', () => {
    const clock = new ManualClock(0);
    let runs = 0;
    const timer = clock.every(10, () => {
      runs += 1;
      if (runs === 3) timer.cancel();
    });
    clock.advance(25);
    expect(runs).toBe(2);
    clock.advance(100);
    expect(runs).toBe(3);
  });

  test('a cancelled callback never runs, and cancelling twice is harmless', () => {
    const clock = new ManualClock(0);
    let runs = 0;
    const timer = clock.after(5, () => {
      runs += 1;
    });
    timer.cancel();
    timer.cancel();
    clock.advance(10);
    expect(runs).toBe(0);
  });

  test('starts at a moment of its own when none is given', () => {
    expect(isoTime(new ManualClock().now())).toBe('2026-01-01T00:00:00.000Z');
  });
});

describe('systemClock', () => {
  test('tells the time of the platform, and one that never goes back', () => {
    const before = Date.now();
    expect(systemClock.now()).toBeGreaterThanOrEqual(before);
    const first = systemClock.monotonic();
    expect(systemClock.monotonic()).toBeGreaterThanOrEqual(first);
  });

  test('calls back once, again and again, and at the end of the turn', async () => {
    const ran: string[] = [];
    await new Promise<void>((resolve) => {
      systemClock.after(1, () => ran.push('once'));
      const every = systemClock.every(1, () => {
        ran.push('every');
        if (ran.filter((name) => name === 'every').length < 3) return;
        every.cancel();
        resolve();
      });
      systemClock.endOfTurn(() => ran.push('end of turn'));
      ran.push('now');
    });
    expect(ran.slice(0, 2)).toEqual(['now', 'end of turn']);
    expect(ran.filter((name) => name === 'once')).toHaveLength(1);
    expect(ran.filter((name) => name === 'every')).toHaveLength(3);
  });

  test('a cancelled timer does not call back', async () => {
    let ran = false;
    systemClock
      .after(1, () => {
        ran = true;
      })
      .cancel();
    await pause(systemClock, 5);
    expect(ran).toBe(false);
  });

  test('its timers do not keep a process alive', async () => {
    const script = `import { systemClock } from '${import.meta.dir}/clock.ts';
      systemClock.after(60_000, () => {}); systemClock.every(60_000, () => {});`;
    const child = Bun.spawn([process.execPath, '-e', script], { stdio: ['ignore', 'ignore', 'inherit'] });
    expect(await child.exited).toBe(0);
  });
});

describe('within', () => {
  test('gives the value that comes in time and forgets its timer', async () => {
    const clock = new ManualClock();
    const answer = within(clock, 100, Promise.resolve('value'));
    expect(await answer).toBe('value');
    clock.advance(1_000);
    expect(await answer).toBe('value');
  });

  test('passes on a rejection that comes in time', async () => {
    const answer = within(new ManualClock(), 100, Promise.reject(new Error('no')));
    expect(await answer.catch(String)).toBe('Error: no');
  });

  test('says TIMED_OUT at the limit, not before it, and swallows what comes later', async () => {
    const clock = new ManualClock();
    const late = Promise.withResolvers<string>();
    let seen: unknown;
    const answer = within(clock, 100, late.promise).then((value) => {
      seen = value;
    });
    clock.advance(99);
    await Promise.resolve();
    expect(seen).toBeUndefined();
    clock.advance(1);
    await answer;
    expect(seen).toBe(TIMED_OUT);
    late.reject(new Error('too late to matter'));
    await Promise.resolve();
  });
});

test('pause resolves when the clock has moved that far', async () => {
  const clock = new ManualClock();
  let over = false;
  const pausing = pause(clock, 10).then(() => {
    over = true;
  });
  clock.advance(9);
  await Promise.resolve();
  expect(over).toBe(false);
  clock.advance(1);
  await pausing;
  expect(over).toBe(true);
});

test('isoTime is UTC with milliseconds', () => {
  expect(isoTime(0)).toBe('1970-01-01T00:00:00.000Z');
  expect(isoTime(Date.UTC(2026, 10, 23, 2, 4, 5, 6))).toBe('2026-11-23T02:04:05.006Z');
});
