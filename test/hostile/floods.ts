/**
 * Attacks that hold a server's attention: each begins, goes on by itself until it is stopped, and says in figures what it did.
 * All come from one address and stay within what a single machine can do.
 */
import type { Socket } from 'node:net';
import * as Y from 'yjs';
import { TEXT_ROOT } from '../../src/protocol/snapshot.ts';
import { step1Frame, updateFrame } from '../../src/protocol/yjs-wire.ts';
import type { Concord, Person } from '../faults/concord.ts';
import { dial } from './raw-http.ts';

/** An attack that goes on. */
export interface Flood {
  /** What it did so far, in words with figures. */
  told(): string;
  stop(): void;
}

/** Begins an attack on a server, where `eve` has an account. */
export type Begin = (concord: Concord, eve: Person) => Promise<Flood>;

const DRIP_MS = 20;
const UPGRADE = (path: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
  'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n';

async function dialMany(url: string, count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let i = 0; i < count; i += 100)
    sockets.push(...(await Promise.all(Array.from({ length: 100 }, () => dial(url)))));
  return sockets;
}

/** `count` connections that say `start`, and then one byte after the other of `rest`, over and over. */
function dribble(count: number, start: string, rest: string): Begin {
  return async (concord) => {
    const sockets = await dialMany(concord.url, count);
    let [cut, bytes, at] = [0, 0, 0];
    for (const socket of sockets) {
      socket.once('close', () => (cut += 1));
      socket.resume();
      socket.write(start);
    }
    const timer = setInterval(() => {
      at = (at + 1) % rest.length;
      for (const socket of sockets)
        if (!socket.destroyed) {
          socket.write(rest[at] ?? 'x');
          bytes += 1;
        }
    }, DRIP_MS);
    return {
      told: () => `${count} connections, ${bytes} bytes one by one, ${cut} cut off`,
      stop() {
        clearInterval(timer);
        for (const socket of sockets) socket.destroy();
      },
    };
  };
}

/** The head of a request that never ends. */
export const slowHeads = dribble(2_000, 'GET /v1/users/me HTTP/1.1\r\nHost: test\r\nx-slow: ', 'drip');

/** The head of an upgrade that never ends. */
export const slowUpgrades = dribble(
  2_000,
  'GET /v1/hocuspocus HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nx-slow: ',
  'drip',
);

/** Bodies that are half there and never end, from nobody who is known. */
export const slowBodies = dribble(
  200,
  `POST /v1/auth/login HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 1048576\r\n\r\n"${'x'.repeat(500_000)}`,
  'drip',
);

/** A frame of 8 MiB of which the most was sent, from sockets on which nobody signed in. */
export const halfFrames: Begin = async (concord) => {
  const count = 40;
  const sockets = await dialMany(concord.url, 100);
  const head = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0x80, 0, 0, 1, 2, 3, 4]);
  let [cut, bytes] = [0, 0];
  for (const socket of sockets.slice(0, count)) {
    socket.once('close', () => (cut += 1));
    socket.write(UPGRADE('/v1/hocuspocus'));
    await new Promise((resolve) => socket.once('data', resolve));
    socket.resume();
    socket.write(head);
    const most = Buffer.alloc(7 * 1024 * 1024);
    await new Promise((resolve) => socket.write(most, resolve));
    bytes += most.length;
  }
  return {
    told: () => `${count} sockets, ${Math.round(bytes / 1024 / 1024)} MiB of frames that do not end, ${cut} cut off`,
    stop() {
      for (const socket of sockets) socket.destroy();
    },
  };
};

/** Opens a socket again and again as soon as it is closed, and keeps sending on it. */
function hammer(
  url: () => string,
  frames: (i: number) => (string | Uint8Array<ArrayBuffer>)[],
  sockets: number,
): Flood {
  let [going, sent, i] = [true, 0, 0];
  const codes = new Map<number, number>();
  const open = new Set<WebSocket>();
  const connect = (): void => {
    const socket = new WebSocket(url());
    open.add(socket);
    socket.onmessage = () => {};
    socket.onclose = ({ code }) => {
      open.delete(socket);
      codes.set(code, (codes.get(code) ?? 0) + 1);
      if (going) setTimeout(connect, DRIP_MS);
    };
  };
  for (let count = 0; count < sockets; count++) connect();
  const timer = setInterval(() => {
    for (const socket of open) {
      if (socket.readyState !== WebSocket.OPEN || socket.bufferedAmount > 1024 * 1024) continue;
      for (const frame of frames(i++)) {
        socket.send(frame);
        sent += 1;
      }
    }
  }, 5);
  return {
    told: () =>
      `${sockets} sockets, ${sent} frames, closed with ${[...codes].map(([code, n]) => `${n} × ${code}`).join(', ')}`,
    stop() {
      going = false;
      clearInterval(timer);
      for (const socket of open) socket.close();
    },
  };
}

/** Messages as fast as they go out. */
export const messageFlood: Begin = async (concord, eve) => {
  const doc_id = await concord.createDocument(eve);
  const many = Array.from({ length: 200 }, () => '{"type":"ping"}');
  return hammer(
    () => `${concord.ws_url}/v1/collab/${doc_id}?token=${eve.token}`,
    () => many,
    10,
  );
};

/** Edits as fast as they go out, each wrong. */
export const editFlood: Begin = async (concord, eve) => {
  const doc_id = await concord.createDocument(eve);
  const edit = JSON.stringify({
    type: 'edit',
    changes: { base_rev: 0, delta: [{ retain: 9 }, { insert: 'x' }] },
    seq: 1,
  });
  return hammer(
    () => `${concord.ws_url}/v1/collab/${doc_id}?token=${eve.token}`,
    () => Array(100).fill(edit),
    10,
  );
};

/** Updates of a Yjs client that types as no finger can. */
export const updateFlood: Begin = async (concord, eve) => {
  const doc_id = await concord.createDocument(eve);
  const doc = new Y.Doc();
  const updates: Uint8Array<ArrayBuffer>[] = [];
  doc.on('update', (update) => void updates.push(new Uint8Array(updateFrame(update))));
  for (let i = 0; i < 20_000; i++) doc.getText(TEXT_ROOT).insert(i, 'x');
  const share = (i: number) =>
    Array.from({ length: 100 }, (_, k) => updates[(i * 100 + k) % updates.length] as Uint8Array<ArrayBuffer>);
  return hammer(() => `${concord.ws_url}/v1/yjs/${doc_id}?token=${eve.token}`, share, 5);
};

/** Sockets that open and say nothing good: no token, no UUID, garbage. */
export const knocking: Begin = async (concord) =>
  hammer(
    () => `${concord.ws_url}/v1/yjs/0198c5c2-7a3e-7d51-9b0a-3f6f2f1f6a10?token=x`,
    () => [new Uint8Array(10)],
    50,
  );

/** A document of 660 KB. */
async function largeDocument(concord: Concord, eve: Person): Promise<string> {
  const doc_id = await concord.createDocument(eve);
  await concord.call('POST', `/v1/documents/${doc_id}/edits`, eve.token, {
    changes: { delta: [{ insert: 'never read '.repeat(60_000) }] },
  });
  return doc_id;
}

/** Asks for a whole large document over and over, and reads the answers as fast as they come. */
export const questionFlood: Begin = async (concord, eve) => {
  const doc_id = await largeDocument(concord, eve);
  const question = new Uint8Array(step1Frame(Uint8Array.of(0)));
  return hammer(
    () => `${concord.ws_url}/v1/yjs/${doc_id}?token=${eve.token}`,
    () => [question],
    5,
  );
};

/** Edits a large document on a revision that it does not have, so that each is answered with its text. */
export const staleFlood: Begin = async (concord, eve) => {
  const doc_id = await largeDocument(concord, eve);
  const edit = JSON.stringify({ type: 'edit', changes: { base_rev: 9, delta: [{ insert: 'x' }] }, seq: 1 });
  return hammer(
    () => `${concord.ws_url}/v1/collab/${doc_id}?token=${eve.token}`,
    () => [edit],
    5,
  );
};

/** Asks for a whole large document over and over, and never reads the answers. */
export const neverReading: Begin = async (concord, eve) => {
  const doc_id = await largeDocument(concord, eve);
  const question = step1Frame(Uint8Array.of(0));
  const masked = Buffer.concat([Buffer.from([0x82, 0x80 | question.length, 0, 0, 0, 0]), question]);
  const sockets = await dialMany(concord.url, 100);
  let [cut, asked] = [0, 0];
  const deaf = sockets.slice(0, 5);
  for (const socket of deaf) {
    socket.once('close', () => (cut += 1));
    socket.write(UPGRADE(`/v1/yjs/${doc_id}?token=${eve.token}`));
    await new Promise((resolve) => socket.once('data', resolve));
    socket.pause();
  }
  const timer = setInterval(() => {
    for (const socket of deaf)
      if (!socket.destroyed && socket.writableLength < 65_536) {
        socket.write(masked);
        asked += 1;
      }
  }, 5);
  return {
    told: () => `${deaf.length} sockets, asked ${asked} times for 660 KB and read none of it, ${cut} cut off`,
    stop() {
      clearInterval(timer);
      for (const socket of sockets) socket.destroy();
    },
  };
};
