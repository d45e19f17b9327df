/** A server for one run, and what of it must be left behind whatever happens. */
import type { ConnectOptions, RunningServer, YjsClient, YjsContender } from '../../contender.ts';
import { pooled, within } from './pace.ts';
import type { Replica } from './replicas.ts';
import { clientId } from './typing.ts';

/** The name of our own contender. */
export const OURS = 'concord';
const FLOOR = 'bare bun publish';

/** False for the floor: nobody who comes late can be sent what was written before. */
export function keepsDocuments({ name }: YjsContender): boolean {
  return name !== FLOOR;
}

/** Handshakes under way at once: a crowd comes quickly, but not as one packet. */
const HANDSHAKES_AT_ONCE = 50;
const CONNECT_MS_MAX = 60_000;

/** Starts a server, hands it to `body`, and stops it. */
export async function visit<T>(
  contender: { start(): Promise<RunningServer> },
  body: (server: RunningServer) => Promise<T>,
): Promise<T> {
  const server = await contender.start();
  try {
    return await body(server);
  } finally {
    await server.stop();
  }
}

/** How much of a scenario is done. `warm` is what comes before a full run and counts for nothing. */
export interface Sizes<S> {
  readonly warm: S;
  readonly full: S;
  readonly quick: S;
}

/**
 * Like {@link visit}, after `heat` and a smaller round of the same on other documents of that server: a server lives for
 * weeks, so what its first seconds cost (compilation above all) is not what its users pay.
 */
export function visitWarm<C extends { start(): Promise<RunningServer> }, S, T>(
  contender: C,
  size: 'full' | 'quick',
  sizes: Sizes<S>,
  body: (server: RunningServer, size: S) => Promise<T>,
  heat: (contender: C, server: RunningServer) => Promise<void> = async () => {},
): Promise<T> {
  return visit(contender, async (server) => {
    if (size === 'full') {
      await heat(contender, server);
      await body(server, sizes.warm);
    }
    return body(server, sizes[size]);
  });
}

/** Where a client goes and what it does there. */
export interface Seat extends Omit<ConnectOptions, 'client_id'> {
  readonly document: string;
}

/** Connects `count` clients, a bounded number at a time; the n-th has {@link clientId} n. */
export function connectAll(
  contender: YjsContender,
  server: RunningServer,
  count: number,
  seat: (n: number) => Seat,
): Promise<YjsClient[]> {
  const connecting = pooled(count, HANDSHAKES_AT_ONCE, (n) => {
    const { document, ...options } = seat(n);
    return contender.connect(server, document, { client_id: clientId(n), ...options });
  });
  return within(CONNECT_MS_MAX, `${count} clients are connected and synced`, connecting);
}

/** What a client that comes now is sent; of a contender that keeps nothing, no replica at all. */
export async function freshReplica(
  contender: YjsContender,
  server: RunningServer,
  document: string,
  n: number,
): Promise<Replica[]> {
  if (!keepsDocuments(contender)) return [];
  const connecting = contender.connect(server, document, { client_id: clientId(n) });
  const client = await within(CONNECT_MS_MAX, 'a client that comes in the end is synced', connecting);
  const updates = [...client.received];
  await client.close();
  return [{ who: 'a client that came in the end', updates }];
}

export async function closeAll(clients: readonly YjsClient[]): Promise<void> {
  await Promise.all(clients.map((client) => client.close()));
}
