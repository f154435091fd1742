// A server on npm's `ws`, which we did not write, with something to say: ticks of a stream, a chain's height, a login with a
// heartbeat of its own. The path says which, and what is wrong with it. feed.py says the same.
'use strict';
const { WebSocketServer } = require(process.env.QUORATE_TEST_CACHE + '/node/node_modules/ws');
const { randomBytes } = require('crypto');

let height = 0x1b4;

function ticks(socket, fault) {
  let sequence = 0;
  const timer = setInterval(() => {
    sequence += 1;
    if (fault === 'stops' && sequence > 3) return;
    if (fault === 'gap' && sequence === 4) sequence = 6;
    const number = fault === 'repeats' && sequence === 4 ? 3 : sequence;
    const at = Date.now() - (fault === 'old' ? 3600000 : 0);
    socket.send(JSON.stringify({ type: 'tick', sequence: number, at }));
  }, 40);
  socket.on('close', () => clearInterval(timer));
}

function chain(socket, fault) {
  socket.on('message', (data) => {
    if (fault !== 'stuck') height += 1;
    const { id } = JSON.parse(data.toString());
    socket.send(JSON.stringify({ jsonrpc: '2.0', id, result: '0x' + height.toString(16) }));
  });
}

function login(socket) {
  const session = randomBytes(12).toString('hex') + '"\\';
  let missed = 0;
  const timer = setInterval(() => {
    if (missed > 10) return socket.close(1008, 'no heartbeat');
    missed += 1;
    socket.send('2');
  }, 30);
  socket.on('close', () => clearInterval(timer));
  socket.on('message', (data) => {
    const text = data.toString();
    if (text === '3') { missed = 0; return; }
    const value = JSON.parse(text);
    if (value.type === 'login') return socket.send(JSON.stringify({ type: 'welcome', session, number: 17 }));
    if (value.session !== session || value.number !== 17) return socket.close(4401, 'Unauthorized');
    setTimeout(() => socket.send(JSON.stringify({ type: 'answer', count: value.count, for: session })), 50);
  });
}

const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2]) });
server.on('connection', (socket, request) => {
  socket.on('error', () => {});
  const [, what, fault] = request.url.split('/');
  ({ ticks, chain, login })[what](socket, fault);
});
