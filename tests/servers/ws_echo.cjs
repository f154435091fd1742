// An echo server on npm's `ws`, which we did not write. Prints its port; answers every message with itself and JSON
// of the form {"type":"ping",...} with {"type":"pong",...}.
'use strict';
const { WebSocketServer } = require(process.env.QUORATE_TEST_CACHE + '/node/node_modules/ws');
const server = new WebSocketServer({ host: process.argv[3] || '127.0.0.1', port: Number(process.argv[2] || 0) });
server.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', (data, isBinary) => {
    if (!isBinary) {
      try {
        const value = JSON.parse(data.toString());
        if (value.type === 'ping') return socket.send(JSON.stringify({ ...value, type: 'pong' }));
      } catch (_) { /* not JSON: echo it */ }
    }
    socket.send(data, { binary: isBinary });
  });
});
server.on('listening', () => console.log(`listening ${server.address().port}`));
