/** Two nodes whose PostgreSQL goes away: people on both go on together, and everything is written when it is back. */
import { test } from 'bun:test';
import { startPostgres, type TestPostgres } from '../support/postgres-server.ts';
import { until } from '../support/until.ts';
import { ClusterWorld } from './cluster-world.ts';
import type { JsonClient } from './json-client.ts';

const DOCUMENTS = 2;
const UNSAVED_WITHIN_MS = 5_000;

let postgres: TestPostgres;
const world = new ClusterWorld(2, async () => {
  postgres = await startPostgres();
  return { url: postgres.url, drop: postgres.destroy };
});

test.each([
  ['stopped and started again', { leave: () => postgres.stop(), back: () => postgres.start() }],
  ['hung with its connections open', { leave: async () => postgres.pause(), back: async () => postgres.resume() }],
])(
  'PostgreSQL %s: people on both nodes go on together and see that nothing is saved, then all is written once',
  async (name, { leave, back }) => {
    const all = await world.company(name.slice(0, 4), DOCUMENTS);
    const { ledger, crowds } = all;
    await leave();
    try {
      const writers = crowds.flatMap(({ json }) => json);
      await until('everybody to be told', () => writers.every(({ status }) => status === 'unsaved'), UNSAVED_WITHIN_MS);
      await ledger.after(200, 'seen');
      // An edit of each is shown to the other, on the other node.
      for (const { json } of crowds) {
        const [one, two] = json as [JsonClient, JsonClient];
        const rev = Math.max(one.rev, two.rev);
        await until('both to see what follows', () => one.rev > rev + 10 && two.rev > rev + 10);
      }
    } finally {
      await back();
    }
    await ledger.after(200, 'acked');
    await world.expectOneTruth(all);
    await until('everybody to be told', () =>
      crowds.every(({ json }) => json.every(({ status }) => status === 'saved')),
    );
    for (const crowd of crowds) crowd.leave();
  },
  90_000,
);
