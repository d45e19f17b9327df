// The server that y-websocket 2 brings along (bin/server.cjs), with the documents of STATE_DIR for its storage.
// Everything is required, nothing imported: its code is CommonJS, and a second Yjs in one process would not fit.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { readStored } from './stored.mjs';

const require = createRequire(import.meta.url);
const { WebSocketServer } = require('ws');
const { setPersistence, setupWSConnection } = require('y-websocket/bin/utils');
const Y = require('yjs');

setPersistence({
  bindState(name, doc) {
    const state = readStored(name);
    if (state !== null) Y.applyUpdate(doc, state);
  },
  async writeState() {},
});

const sockets = new WebSocketServer({ noServer: true });
sockets.on('connection', setupWSConnection);
const server = createServer((_request, response) => response.end('okay'));
server.on('upgrade', (request, socket, head) => {
  sockets.handleUpgrade(request, socket, head, (connection) => sockets.emit('connection', connection, request));
});
server.listen(Number(process.env.PORT), '127.0.0.1', () => console.log('listening'));
