// Hocuspocus with its own defaults, no authentication and nothing stored: on Node its ordinary Server; on Bun, where
// that cannot start (its socket layer knows Node's only), Bun's own sockets handed to it, which is what it allows for.
import { Hocuspocus, Server } from '@hocuspocus/server';
import { readStored } from './stored.mjs';

const port = Number(process.env.PORT);
const address = '127.0.0.1';
const settings = {
  quiet: true,
  async onLoadDocument({ documentName }) {
    return readStored(documentName) ?? undefined;
  },
};

if (globalThis.Bun) {
  const hocuspocus = new Hocuspocus(settings);
  globalThis.Bun.serve({
    port,
    hostname: address,
    fetch(request, server) {
      if (server.upgrade(request, { data: { request, connection: null } })) return undefined;
      return new Response('a WebSocket is expected', { status: 426 });
    },
    websocket: {
      // As Concord has it: a line that would lose frames is cut, which fails the run.
      backpressureLimit: 64 * 1024 * 1024,
      closeOnBackpressureLimit: true,
      open(socket) {
        socket.binaryType = 'uint8array';
        socket.data.connection = hocuspocus.handleConnection(socket, socket.data.request);
      },
      message(socket, message) {
        socket.data.connection.handleMessage(message);
      },
      close(socket, code, reason) {
        socket.data.connection.handleClose({ code, reason });
      },
    },
  });
} else {
  await new Server({ ...settings, port, address }).listen();
}
console.log('listening');
