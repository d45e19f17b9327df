/** Two nodes, one of which is told to end: it hands everything over, and its clients go on with the other. */
import { expect, test } from 'bun:test';
import { seededRandom } from '../../src/base/random.ts';
import { until } from '../support/until.ts';
import type { ClusterNode } from './cluster.ts';
import { ClusterWorld } from './cluster-world.ts';
import { Crowd } from './crowd.ts';
import { Ledger } from './ledger.ts';

const DOCUMENTS = 100;
const READERS_PER_DOCUMENT = 5;
const TYPED_ON_EVERY = 20;
const STOPPED_WITHIN_MS = 10_000;

const world = new ClusterWorld(2);

/** A socket that only listens; when it is closed it comes back through the other node until it is in. */
function reader(doc_id: string, place: number, node: ClusterNode, seen: Seen): Promise<unknown> {
  const door = place % 2 === 0 ? 'collab' : 'yjs';
  const open = ({ concord }: ClusterNode, greeted: () => void): void => {
    const socket = new WebSocket(`${concord.ws_url}/v1/${door}/${doc_id}?token=${world.people[0].token}`);
    sockets.add(socket);
    let is_in = false;
    socket.onmessage = () => {
      if (!is_in) greeted();
      is_in = true;
    };
    socket.onclose = ({ code }) => {
      sockets.delete(socket);
      if (code === 1000) return;
      seen.codes.add(code);
      if (is_in) seen.away += 1;
      setTimeout(() => open(world.cluster.node(1), () => (seen.away -= 1)), 100);
    };
  };
  return new Promise<void>((resolve) => open(node, resolve));
}

/** What readers were told. */
interface Seen {
  readonly codes: Set<number>;
  /** How many were in, and are not. */
  away: number;
}

const sockets = new Set<WebSocket>();

test('SIGTERM with 500 sockets on 100 documents over two nodes: exit 0 within 10 s, 1012 for its clients, who resume elsewhere, and nothing is lost', async () => {
  const { cluster, people } = world;
  const [ledger, random] = [new Ledger(), seededRandom(1)];
  const seen: Seen = { codes: new Set(), away: 0 };
  const doc_ids = await Promise.all(
    Array.from({ length: DOCUMENTS }, () => cluster.createDocument(people[0], people.slice(1))),
  );
  await Promise.all(
    [0, 1].map((n) =>
      cluster.openOn(
        cluster.node(n),
        people[0],
        doc_ids.filter((_, i) => i % 2 === n),
      ),
    ),
  );
  await Promise.all(
    doc_ids.flatMap((doc_id) =>
      Array.from({ length: READERS_PER_DOCUMENT }, (_, place) => reader(doc_id, place, cluster.node(place), seen)),
    ),
  );
  const typed = doc_ids.filter((_, i) => i % TYPED_ON_EVERY < 2);
  const crowds = typed.map(
    (doc_id, i) => new Crowd({ cluster, ledger, random, people, doc_id, name: `d${i}`, home: i, think_ms: 20 }),
  );
  await Promise.all(crowds.map((crowd) => crowd.arrive()));
  for (const crowd of crowds) crowd.type();
  await ledger.after(500, 'acked');

  const leaving = cluster.node(0);
  const begun = performance.now();
  const code = await leaving.concord.terminate();
  expect(performance.now() - begun).toBeLessThan(STOPPED_WITHIN_MS);
  expect(code).toBe(0);
  await until(
    'every reader to be in again',
    () => sockets.size === DOCUMENTS * READERS_PER_DOCUMENT && seen.away === 0,
    20_000,
  );
  expect([...seen.codes].filter((closed_with) => closed_with !== 1012)).toEqual([]);
  await ledger.after(500, 'acked');
  const owners = new Set((await cluster.owners(typed)).values());
  expect(owners).toEqual(new Set([cluster.node(1).name]));

  await world.expectOneTruth({ ledger, crowds });
  for (const crowd of crowds) crowd.leave();
  for (const socket of sockets) socket.close(1000);
}, 150_000);
