// @alicloud/credentials, type credentials_uri: uri.js URI
'use strict';
const { default: Credential, Config } = require('@alicloud/credentials');
const { run } = require('./harness');

const credential = new Credential(new Config({ type: 'credentials_uri', credentialsURI: process.argv[2] }));
run(() => credential.getCredential());
