import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { seedDocument, seedDocuments } from '../../test/support/core.ts';
import { CoreNode, CoreWorld, refusal, turn } from '../../test/support/core-node.ts';
import { startPostgres, type TestPostgres } from '../../test/support/postgres-server.ts';
import { until } from '../../test/support/until.ts';
import { systemClock } from '../base/clock.ts';
import { TIMES } from '../protocol/limits.ts';
import { migrate } from '../store/migrate.ts';
import { connectDatabase } from '../store/postgres.ts';

const world = new CoreWorld(750);
const textOf = (open: { runtime: { replica: { ops(): unknown } } }): unknown => open.runtime.replica.ops();

/** Moves the node's clock until the promise settles. */
async function ticking<T>(one: CoreNode, promise: Promise<T>): Promise<T> {
  const timer = systemClock.every(10, () => one.hand.advance(20));
  return promise.finally(() => timer.cancel());
}

describe('without PostgreSQL', () => {
  let postgres: TestPostgres;
  beforeAll(async () => {
    postgres = await startPostgres();
    const sql = connectDatabase(postgres.url, { connections_max: 1, application_name: 'migrate' });
    await migrate(sql);
    await sql.end();
  });
  afterAll(() => postgres.destroy());
  afterEach(() => postgres.start());

  test('no document can be opened, which is nobody’s crash: when it is back they open at once', async () => {
    const sql = connectDatabase(postgres.url, { connections_max: 2, application_name: 'test' });
    const one = new CoreNode(sql, postgres.url, world.redis, 999);
    const { doc_ids } = await seedDocuments(sql, 2);
    const [open = '', closed = ''] = doc_ids;
    await one.write(open, 'before ');
    await postgres.stop();
    for (let tries = 0; tries < 4; tries++)
      expect(await refusal(one.registry.open(closed))).toEqual(['UNAVAILABLE', expect.any(Number) as unknown]);
    expect(await one.edit(open, [{ insert: 'during ' }])).toMatchObject({ kind: 'applied' });
    // One that nobody is connected to may try to leave meanwhile; that is no crash either.
    await until('the journal to notice', () => one.journal.away);
    expect([...one.registry.documents()].map(({ state }) => state)).toEqual(['owned idle degraded held']);
    await one.registry.suspect(true);
    expect([...one.registry.documents()].map(({ state }) => state)).toEqual(['owned idle degraded suspect']);
    expect(one.counted).toMatchObject({ crashed: 0, fenced: 0 });
    await postgres.start();
    await until('everything to be written', () => {
      one.hand.advance(100);
      return one.journal.backlog().revs === 0;
    });
    const opened = await until('it to open', () => one.registry.open(closed).catch(() => null));
    expect(opened.runtime.ledger.epoch).toBe(1);
    expect(textOf(await one.registry.open(open))).toEqual([{ insert: 'during before ' }]);
    await one.registry.drain(60_000);
    await one.close();
    await sql.end({ timeout: 1 });
  });

  test('a document that leaves memory in such a moment is no crash either', async () => {
    const sql = connectDatabase(postgres.url, { connections_max: 2, application_name: 'test' });
    const one = new CoreNode(sql, postgres.url, world.redis, 999);
    const { doc_id } = await seedDocument(sql);
    for (let times = 0; times < 4; times++) {
      await ticking(one, one.write(doc_id, 'x'));
      await postgres.stop();
      one.hand.advance(TIMES.passivate_after_ms);
      await turn();
      await postgres.start();
      await ticking(
        one,
        until('it to be gone', () => one.counted.open === 0),
      );
    }
    expect(one.counted.crashed).toBe(0);
    await one.close();
    await sql.end({ timeout: 1 });
  });
});
