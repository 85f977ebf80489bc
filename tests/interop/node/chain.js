// @alicloud/credentials, default chain: chain.js, configured by environment variables only
'use strict';
const { default: Credential } = require('@alicloud/credentials');
const { run } = require('./harness');

const credential = new Credential();
run(() => credential.getCredential());
