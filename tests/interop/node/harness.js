// What the Node client programs share: how often to ask, the one JSON line, a stand-in for 100.100.100.200.
'use strict';
const net = require('node:net');

// Asks `credential` INTEROP_CALLS times, one after the other, and prints the last answer.
exports.tell = async (credential) => {
  let got;
  for (let calls = Number(process.env.INTEROP_CALLS || 1); calls > 0; calls -= 1) {
    got = await credential.getCredential();
  }
  const { accessKeyId: AccessKeyId, accessKeySecret: AccessKeySecret, securityToken: SecurityToken } = got;
  console.log(JSON.stringify({ AccessKeyId, AccessKeySecret, SecurityToken }));
};

// Connections to the metadata address go to `url`'s; the requests, Host included, stay as they are.
exports.redirect = (url) => {
  const { hostname: host, port } = new URL(url);
  const connect = net.Socket.prototype.connect;
  net.Socket.prototype.connect = function elsewhere(...args) {
    // The agent hands over an array it has marked as normalized: only a copy of its options may change.
    const holder = Array.isArray(args[0]) ? args[0] : args;
    if (holder[0].host === '100.100.100.200') holder[0] = { ...holder[0], host, port };
    return connect.apply(this, args);
  };
};
