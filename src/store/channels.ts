/** The Pub/Sub channels of documents: `collab:<doc_id>`, CONTRACT.md section 7. */
import type { Redis } from 'ioredis';

/** The channel that carries a document's events. */
export function documentChannel(doc_id: string): string {
  return `collab:${doc_id}`;
}

/** Publishes one message and tells how many received it. Rejects when Redis does not answer. */
export function publishEvents(redis: Redis, doc_id: string, message: string): Promise<number> {
  return redis.publish(documentChannel(doc_id), message);
}

/** How many subscribe to each document's channel. */
export async function countSubscribers(redis: Redis, doc_ids: readonly string[]): Promise<number[]> {
  const reply = (await redis.pubsub('NUMSUB', ...doc_ids.map(documentChannel))) as (string | number)[];
  return doc_ids.map((_, i) => Number(reply[i * 2 + 1] ?? 0));
}
