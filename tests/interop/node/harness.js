// What the Node client programs share: one question for each line on stdin, one line of JSON for each answer.
'use strict';
const readline = require('node:readline');

// `ask` asks the SDK once; it gives an object of the three values, or throws.
exports.answer = async (ask) => {
  const say = process.stdout.write.bind(process.stdout);
  process.stdout.write = process.stderr.write.bind(process.stderr); // some SDKs print; the answers are ours alone
  for await (const _ of readline.createInterface({ input: process.stdin })) {
    let told;
    try {
      const { accessKeyId: AccessKeyId, accessKeySecret: AccessKeySecret, securityToken: SecurityToken } = await ask();
      told = { AccessKeyId, AccessKeySecret, SecurityToken };
    } catch (error) {
      told = { error: String(error) };
    }
    say(`${JSON.stringify(told)}\n`);
  }
  process.exit(0); // a keep-alive connection would hold the process
};
