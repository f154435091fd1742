// A broker of npm's `stomp-broker-js`, which we did not write. Prints its port; the path is /stomp.
'use strict';
const Broker = require(process.env.QUORATE_TEST_CACHE + '/node/node_modules/stomp-broker-js');
const http = require('http').createServer();
new Broker({ server: http, path: '/stomp', serverName: 'broker' });
http.listen(Number(process.argv[2] || 0), '127.0.0.1', () => console.log(`listening ${http.address().port}`));
