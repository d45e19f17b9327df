// ShareDB with the rich-text type, its documents in memory, over ws. `POST /documents/<name>` makes an empty document.
import { createServer } from 'node:http';
import { Duplex } from 'node:stream';
import richText from 'rich-text';
import ShareDB from 'sharedb';
import { WebSocketServer } from 'ws';

ShareDB.types.register(richText.type);
const backend = new ShareDB();
const connection = backend.connect();

/** A socket as the stream of objects that ShareDB listens to. */
function jsonStream(socket) {
  const stream = new Duplex({
    objectMode: true,
    read() {},
    write(message, _encoding, done) {
      if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(message));
      done();
    },
    final(done) {
      socket.close();
      done();
    },
  });
  socket.on('message', (message) => stream.push(JSON.parse(message)));
  socket.on('close', () => {
    stream.push(null);
    stream.destroy();
  });
  return stream;
}

const server = createServer((request, response) => {
  const name = request.method === 'POST' ? /^\/documents\/([\w-]+)$/.exec(request.url)?.[1] : undefined;
  if (name === undefined) return response.writeHead(404).end();
  connection.get('documents', name).create([], richText.type.uri, (error) => {
    response.writeHead(error ? 500 : 201).end(error?.message);
  });
});
new WebSocketServer({ server }).on('connection', (socket) => backend.listen(jsonStream(socket)));
server.listen(Number(process.env.PORT), '127.0.0.1', () => console.log('listening'));
