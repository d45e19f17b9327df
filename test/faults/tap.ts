/**
 * Somebody with a plain Redis subscription to `collab:*`, as CONTRACT.md section 7 allows everybody. It judges the form of
 * every message as it comes, and at the end holds what it was told against the journal: the bytes of every revision are the
 * journal's, and where nothing could get lost, every revision was told.
 */
import type { Redis } from 'ioredis';
import * as Y from 'yjs';
import { connectRedis, redisReady } from '../../src/store/redis.ts';
import { quietLog } from '../support/core.ts';
import type { Row } from './history.ts';

const PREFIX = 'collab:';
const EVENT_TYPES = ['edit', 'ack', 'status', 'presence', 'role'];

/** An edit as it was told: some owners told of revisions that their journal never held. */
interface Told {
  readonly epoch: number;
  readonly update: Uint8Array;
}

/** See the head of this file. */
export class Tap {
  /** What was wrong with messages as they came. */
  readonly faults: string[] = [];
  /** Messages that came. */
  messages = 0;
  /** Characters of the messages that came. */
  length = 0;
  readonly #told = new Map<string, Map<number, Told[]>>();
  readonly #heads = new Map<string, number>();

  private constructor(private readonly redis: Redis) {
    redis.on('pmessage', (_pattern: string, channel: string, message: string) => {
      this.messages += 1;
      this.length += message.length;
      try {
        this.#take(channel.slice(PREFIX.length), message);
      } catch (error) {
        this.faults.push(`${channel}: ${(error as Error).message}: ${message.slice(0, 200)}`);
      }
    });
  }

  /** Subscribes, and again whenever Redis comes back. */
  static async open(redis_url: string): Promise<Tap> {
    const redis = connectRedis(redis_url, { name: 'tap', kind: 'standing', log: quietLog });
    await redisReady(redis);
    const tap = new Tap(redis);
    await redis.psubscribe(`${PREFIX}*`);
    return tap;
  }

  /** The head that the last message about a document named; 0 when there was none. */
  head(doc_id: string): number {
    return this.#heads.get(doc_id) ?? 0;
  }

  /**
   * What was told of a document that is not so. `complete`: nothing can have been lost on the way, so every revision was
   * told, and what was told gives the text.
   */
  wrongs(doc_id: string, journal: readonly Row[], text: string, complete: boolean): string[] {
    const told = this.#told.get(doc_id) ?? new Map<number, Told[]>();
    const wrongs: string[] = [];
    const doc = new Y.Doc();
    for (const { rev, epoch, update } of journal) {
      const versions = told.get(rev) ?? [];
      const same = versions.some((version) => Buffer.compare(version.update, update) === 0);
      if (!same && versions.some((version) => version.epoch === epoch))
        wrongs.push(`revision ${rev} of epoch ${epoch} was told with other bytes than the journal has`);
      else if (!same && complete) wrongs.push(`revision ${rev} was never told`);
      if (same) Y.applyUpdate(doc, update);
    }
    if (complete && wrongs.length === 0 && doc.getText('content').toString() !== text)
      wrongs.push('what was told gives another text');
    return wrongs.map((wrong) => `${PREFIX}${doc_id}: ${wrong}`);
  }

  close(): void {
    this.redis.disconnect();
  }

  #take(doc_id: string, text: string): void {
    const message = JSON.parse(text);
    const { v, epoch, rev, events } = message;
    if (v !== 1) throw new Error('v is not 1');
    if (!Number.isSafeInteger(epoch) || epoch < 1) throw new Error('no epoch');
    if (!Number.isSafeInteger(rev) || rev < 0) throw new Error('no rev');
    if (!Array.isArray(events)) throw new Error('no events');
    this.#heads.set(doc_id, rev);
    for (const event of events) {
      if (!EVENT_TYPES.includes(event.type)) throw new Error(`an event of type ${event.type}`);
      if (event.doc_id !== doc_id) throw new Error(`an event of ${event.doc_id}`);
      if (event.type === 'edit') this.#edit(doc_id, epoch, rev, event);
    }
  }

  // biome-ignore lint/suspicious/noExplicitAny: what comes over a wire is looked at, not believed
  #edit(doc_id: string, epoch: number, head: number, { changes, update, user_id, client_id, timestamp }: any): void {
    if (!Number.isSafeInteger(changes?.rev) || changes.rev > head) throw new Error('an edit beyond the head');
    if (!Array.isArray(changes.delta)) throw new Error('an edit without a delta');
    for (const value of [update, user_id, client_id, timestamp])
      if (typeof value !== 'string') throw new Error('an edit that lacks something');
    const revisions = this.#told.get(doc_id) ?? new Map<number, Told[]>();
    this.#told.set(doc_id, revisions);
    const versions = revisions.get(changes.rev) ?? [];
    revisions.set(changes.rev, [...versions, { epoch, update: new Uint8Array(Buffer.from(update, 'base64')) }]);
  }
}
