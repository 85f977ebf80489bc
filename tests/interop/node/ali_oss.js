// ali-oss with @alicloud/credentials, as in its manual: ali_oss.js URI
// ali-oss ignores the expiration. It calls `refreshSTSToken` every refreshSTSTokenInterval milliseconds, here with every
// request. AccessKeyId and token are taken from the URL that it signs. The secret is in no URL.
'use strict';
const { default: Credential, Config } = require('@alicloud/credentials');
const OSS = require('ali-oss');
const { run } = require('./harness');

const credential = new Credential(new Config({ type: 'credentials_uri', credentialsURI: process.argv[2] }));
const refreshSTSToken = async () => {
  const { accessKeyId, accessKeySecret, securityToken: stsToken } = await credential.getCredential();
  return { accessKeyId, accessKeySecret, stsToken };
};
let client;

run(async () => {
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
