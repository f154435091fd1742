// A server on npm's `ws`, which we did not write, with a life of its own: SIGTERM closes every connection with the code of
// the second argument and ends it; SIGUSR2 refuses newcomers with 503 from then on, and keeps those that are inside.
'use strict';
const http = require('http');
const { WebSocketServer } = require(process.env.QUORATE_TEST_CACHE + '/node/node_modules/ws');
const code = Number(process.argv[3] || 1001);
let isFull = false;
const server = http.createServer((_, response) => response.writeHead(426).end());
const sockets = new WebSocketServer({ noServer: true });
server.on('upgrade', (request, socket, head) => {
  socket.on('error', () => {});
  if (isFull) return socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\nconnection limit reached');
  sockets.handleUpgrade(request, socket, head, (client) => {
    client.on('error', () => {});
    client.on('message', (data, isBinary) => client.send(data, { binary: isBinary }));
  });
});
process.on('SIGUSR2', () => { isFull = true; });
process.on('SIGTERM', () => {
  server.close();
  for (const client of sockets.clients) client.close(code, 'deploying');
  setTimeout(() => process.exit(0), 300);
});
server.listen(Number(process.argv[2] || 0), '127.0.0.1', () => console.log(`listening ${server.address().port}`));
