// Shared by the Node client programs: one call for each line on stdin, one line of JSON for each result.
'use strict';
const readline = require('node:readline');

// `call` calls the SDK once; it returns an object with the three values, or throws.
exports.run = async (call) => {
  const print = process.stdout.write.bind(process.stdout);
  process.stdout.write = process.stderr.write.bind(process.stderr); // some SDKs print to stdout, which is for results only
  for await (const _ of readline.createInterface({ input: process.stdin })) {
    let result;
    try {
      const { accessKeyId: AccessKeyId, accessKeySecret: AccessKeySecret, securityToken: SecurityToken } = await call();
      result = { AccessKeyId, AccessKeySecret, SecurityToken };
    } catch (error) {
      result = { error: String(error) };
    }
    print(`${JSON.stringify(result)}\n`);
  }
  process.exit(0); // a keep-alive connection would keep the process running
};
