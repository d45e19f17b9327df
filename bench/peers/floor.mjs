// What no server on Bun can go below: every frame is published to all sockets of its document, its sender among them.
// Nothing is decoded and nothing kept; a newcomer is told that the document is empty.

/** Sync step 2 with an update that holds nothing. */
const EMPTY_STATE = Uint8Array.of(0, 1, 2, 0, 0);

const server = Bun.serve({
  port: Number(process.env.PORT),
  hostname: '127.0.0.1',
  fetch(request) {
    if (server.upgrade(request, { data: { topic: new URL(request.url).pathname } })) return undefined;
    return new Response('a WebSocket is expected', { status: 426 });
  },
  websocket: {
    backpressureLimit: 64 * 1024 * 1024,
    closeOnBackpressureLimit: true,
    open(socket) {
      socket.subscribe(socket.data.topic);
      socket.send(EMPTY_STATE);
    },
    message(socket, message) {
      server.publish(socket.data.topic, message);
    },
  },
});
console.log('listening');
