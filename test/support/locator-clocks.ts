/** Clocks for tests of the locator, which waits for others and bounds what it waits for. */
import { type Clock, ManualClock, systemClock } from '../../src/base/clock.ts';
import { TIMES } from '../../src/protocol/limits.ts';

/** A clock on which waits are short and time limits never come. */
export const brisk: Clock = {
  ...systemClock,
  after: (delay_ms, callback) =>
    delay_ms >= TIMES.claim_timeout_ms ? { cancel() {} } : systemClock.after(Math.min(delay_ms / 5, 20), callback),
};

/** A clock in the test's hand that tells what was asked of it. */
export class NotingClock extends ManualClock {
  readonly asked: number[] = [];

  override after(delay_ms: number, callback: () => void) {
    this.asked.push(delay_ms);
    return super.after(delay_ms, callback);
  }
}
