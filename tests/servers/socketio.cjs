// A chat of npm's `socket.io`, which we did not write. Prints its port. The namespace /closed wants a token. Behind the port
// may stand how often it pings, and how soon it wants the pong, in milliseconds; it says `late` after five pings.
'use strict';
const { Server } = require(process.env.QUORATE_TEST_CACHE + '/node/node_modules/socket.io');
const http = require('http').createServer();
const pingInterval = Number(process.argv[3] || 25000);
const io = new Server(http, { pingInterval, pingTimeout: process.argv[3] ? pingInterval : 20000 });
io.on('connection', (socket) => {
  socket.on('message', (text) => socket.emit('message', text));
  setTimeout(() => socket.emit('message', 'late'), 5 * pingInterval).unref();
});
io.of('/closed').use((socket, next) => {
  next(socket.handshake.auth.token === 'open' ? undefined : new Error('not authorized'));
});
http.listen(Number(process.argv[2] || 0), '127.0.0.1', () => console.log(`listening ${http.address().port}`));
