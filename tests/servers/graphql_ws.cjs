// A GraphQL server of npm's `graphql-ws` on `ws`, neither of which we wrote. Prints its port; the path is /graphql. A
// connection whose payload names a wrong token is refused, as graphql-ws does it (4403).
'use strict';
const modules = process.env.QUORATE_TEST_CACHE + '/node/node_modules/';
const { buildSchema } = require(modules + 'graphql');
const { WebSocketServer } = require(modules + 'ws');
const { useServer } = require(modules + 'graphql-ws/dist/use/ws.cjs');
const schema = buildSchema('type Query { hello: String }');
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2] || 0), path: '/graphql' });
useServer({
  schema,
  roots: { query: { hello: () => 'world' } },
  onConnect: (context) => (context.connectionParams || {}).token !== 'wrong',
}, server);
server.on('listening', () => console.log(`listening ${server.address().port}`));
