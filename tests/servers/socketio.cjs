// A chat of npm's `socket.io`, which we did not write. Prints its port. The namespace /closed wants a token.
'use strict';
const { Server } = require(process.env.QUORATE_TEST_CACHE + '/node/node_modules/socket.io');
const http = require('http').createServer();
const io = new Server(http, { pingInterval: Number(process.argv[3] || 25000) });
io.on('connection', (socket) => socket.on('message', (text) => socket.emit('message', text)));
io.of('/closed').use((socket, next) => {
  next(socket.handshake.auth.token === 'open' ? undefined : new Error('not authorized'));
});
http.listen(Number(process.argv[2] || 0), '127.0.0.1', () => console.log(`listening ${http.address().port}`));
