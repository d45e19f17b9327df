/**
 * Carries {@link Signal}s between nodes over one Redis channel. What a node sends reaches its own listener at once and
 * the others within milliseconds. A signal is a nudge, never the truth: PostgreSQL was changed before it was sent.
 */
import type { Log } from '../base/log.ts';
import type { Channels } from '../store/channels.ts';
import type { Signal, Signals } from './gateway.ts';

/** The channel of signals. */
export const SIGNAL_CHANNEL = 'concord:signals';

/** See the head of this file. */
export class SignalBus implements Signals {
  readonly #listeners = new Set<(signal: Signal) => void>();

  constructor(
    private readonly boot_id: string,
    private readonly channels: Pick<Channels, 'send'>,
    private readonly log: Log,
  ) {}

  /** Calls `listener` with every signal, from this node and from others. */
  listen(listener: (signal: Signal) => void): void {
    this.#listeners.add(listener);
  }

  send(signal: Signal): void {
    this.#deliver(signal);
    const message = JSON.stringify({ v: 1, from: this.boot_id, signal });
    void this.channels.send(SIGNAL_CHANNEL, message).then((taken) => {
      if (!taken) this.log.warn({ signal: signal.type }, 'other nodes were not told of a change of rights');
    });
  }

  /** Takes a message of the channel. */
  receive(message: string): void {
    const parsed = readMessage(message);
    if (parsed === null) this.log.warn('a message on the signal channel is no signal; somebody else writes to it');
    else if (parsed.from !== this.boot_id) this.#deliver(parsed.signal);
  }

  #deliver(signal: Signal): void {
    for (const listener of this.#listeners) listener(signal);
  }
}

const TYPES: readonly Signal['type'][] = ['role', 'document_deleted', 'session_ended'];

/** Whoever can write to the channel could do worse; this only keeps accidents out. */
function readMessage(message: string): { readonly from: unknown; readonly signal: Signal } | null {
  try {
    const { from, signal } = JSON.parse(message) as { from: unknown; signal: Signal };
    return TYPES.includes(signal.type) ? { from, signal } : null;
  } catch {
    return null;
  }
}
