// ali-oss over @alicloud/credentials, as its manual shows: ali_oss.js URI
// It never looks at an expiration: its callback gives it new values every refreshSTSTokenInterval milliseconds, here
// with every request. The AccessKeyId and the token are those of the address that it signs; the secret is in none.
'use strict';
const { default: Credential, Config } = require('@alicloud/credentials');
const OSS = require('ali-oss');
const { answer } = require('./harness');

const credential = new Credential(new Config({ type: 'credentials_uri', credentialsURI: process.argv[2] }));
const refreshSTSToken = async () => {
  const { accessKeyId, accessKeySecret, securityToken: stsToken } = await credential.getCredential();
  return { accessKeyId, accessKeySecret, stsToken };
};
let client;

answer(async () => {
  client ??= new OSS({
    ...(await refreshSTSToken()),
    region: 'oss-cn-hangzhou',
    bucket: 'my-bucket',
    refreshSTSToken,
    refreshSTSTokenInterval: 0,
  });
  const { searchParams } = new URL(await client.asyncSignatureUrl('k'));
  return {
    accessKeyId: searchParams.get('OSSAccessKeyId'),
    accessKeySecret: client.options.accessKeySecret,
    securityToken: searchParams.get('security-token'),
  };
});
