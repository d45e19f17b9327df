/** HTTP by hand, for requests that no client library would send. */
import { createConnection, type Socket } from 'node:net';

/** What came back: the first response, its body only as far as it arrived with it. */
export interface RawAnswer {
  /** 0 when the line was cut without an answer. */
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** Connects to a server; errors of the line are nobody's. */
export function dial(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: hostname, port: Number(port) }, () => {
      socket.off('error', reject);
      socket.on('error', () => {});
      resolve(socket);
    });
    socket.once('error', reject);
  });
}

/** Sends these lines as a request's head, and a body behind it; resolves with what the server says to it before it hangs up. */
export async function speak(url: string, lines: readonly string[], body: string | Uint8Array = ''): Promise<RawAnswer> {
  const socket = await dial(url);
  const chunks: Buffer[] = [];
  socket.on('data', (data: Buffer) => void chunks.push(data));
  const ended = new Promise((resolve) => socket.once('close', resolve));
  // Latin-1, so that a test may write any byte.
  socket.write(Buffer.from([...lines, 'Connection: close', '', ''].join('\r\n'), 'latin1'));
  socket.write(body);
  await ended;
  return readAnswer(Buffer.concat(chunks).toString('utf8'));
}

/** Splits an answer. */
export function readAnswer(text: string): RawAnswer {
  const end = text.indexOf('\r\n\r\n');
  const head = end === -1 ? text : text.slice(0, end);
  const body = end === -1 ? '' : text.slice(end + 4);
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0), head, body };
}
