/** A database and a Redis for the tests of one file, made before the first and removed after the last of them. */
import { afterAll, beforeAll } from 'bun:test';
import type { Redis } from 'ioredis';
import { connectRedis, redisReady } from '../../src/store/redis.ts';
import { quietLog, seedDocument } from './core.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';
import { startRedis, type TestRedis } from './redis.ts';

/** See the head of this file; made where a file of tests begins. */
export class StoresWorld {
  db!: TestDatabase;
  server!: TestRedis;
  /** A connection to `server`. */
  redis!: Redis;

  constructor() {
    beforeAll(async () => {
      this.db = await createTestDatabase();
      this.server = await startRedis();
      this.redis = connectRedis(this.server.url, { name: 'test', kind: 'commands', log: quietLog });
      await redisReady(this.redis);
    });
    afterAll(async () => {
      this.redis.disconnect();
      await this.server.stop();
      await this.db.drop();
    });
  }

  /** A new empty document. */
  async document(): Promise<string> {
    return (await seedDocument(this.db.sql)).doc_id;
  }
}
