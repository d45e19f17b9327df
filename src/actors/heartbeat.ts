/**
 * The node's own life in the directory. It beats every two seconds; when no beat got through for as long as a key lives,
 * others may think it dead, so it is *suspect*: it goes on serving, because PostgreSQL's fence protects the data, but asks
 * PostgreSQL every two seconds which of its documents still are its own.
 */
import type { Clock, Timer } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { TIMES } from '../protocol/limits.ts';
import type { Directory } from '../store/directory.ts';
import type { NodeIdentity } from '../store/heads.ts';

/** Who listens to the heartbeat. */
export interface HeartbeatListener {
  /** Called at every beat that is late, and once when beats get through again. */
  suspect(suspect: boolean): void;
}

/** See the head of this file. */
export class Heartbeat {
  #timer: Timer | null = null;
  #last_beat: number;
  #suspect = false;

  constructor(
    private readonly node: NodeIdentity,
    private readonly directory: Directory,
    private readonly clock: Clock,
    private readonly log: Log,
    private readonly listener: HeartbeatListener,
  ) {
    this.#last_beat = clock.monotonic();
  }

  /** Beats once, then every two seconds. Does not fail when Redis is away. */
  async start(): Promise<void> {
    await this.#beat();
    this.#timer = this.clock.every(TIMES.node_beat_ms, () => void this.#beat());
  }

  /** Beats at once: the directory may have forgotten everything. */
  now(): void {
    if (this.#timer !== null) void this.#beat();
  }

  /** Stops, and tells the directory that this node is gone. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    // A directory that does not answer forgets the node by itself.
    await this.directory.leave(this.node).catch(() => {});
  }

  async #beat(): Promise<void> {
    const begun = this.clock.monotonic();
    try {
      await this.directory.beat(this.node, TIMES.node_life_ms);
      this.#last_beat = begun;
    } catch {
      // What matters is how long ago the last one got through; the connection logs its own trouble.
    }
    const late = this.clock.monotonic() - this.#last_beat > TIMES.node_life_ms;
    if (late && !this.#suspect) this.log.warn('no beat got through; checking ownership with PostgreSQL');
    if (!late && this.#suspect) this.log.info('beats get through again');
    if (late || this.#suspect) this.listener.suspect(late);
    this.#suspect = late;
  }
}
