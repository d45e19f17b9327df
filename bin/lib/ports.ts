/**
 * Ports for servers that may be stopped and started again on the same one.
 *
 * The kernel hands out ports of its ephemeral range (from 32768 up) to every outgoing connection, one's own retries to a
 * server that is down included: a port of that range may be taken when the server comes back. So ours lie below it. Nor may
 * another process take the port in between: those that bin/test runs side by side draw from shares that have none in common.
 */
import { createServer } from 'node:net';

const PORT_MIN = 15_000;
const PORT_MAX = 32_000;

/** The environment's word for which share is ours: `0/2` or `1/2`, where there are two. */
export const PORT_SHARE = 'CONCORD_PORT_SHARE';

/** A port of 127.0.0.1 that nothing listens on now. */
export async function freePort(): Promise<number> {
  const [share = 0, shares = 1] = (process.env[PORT_SHARE] ?? '0/1').split('/').map(Number);
  for (let tries = 0; tries < 100; tries++) {
    const port = PORT_MIN + share + shares * Math.floor((Math.random() * (PORT_MAX - PORT_MIN)) / shares);
    if ((await tryPort('127.0.0.1', port)) === null) return port;
  }
  throw new Error(`no free port between ${PORT_MIN} and ${PORT_MAX} on 127.0.0.1`);
}

/** Null when one can listen there, otherwise the system's reason: `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`, `ENOTFOUND` … */
export function tryPort(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  });
}
