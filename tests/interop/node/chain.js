// @alicloud/credentials, default chain: chain.js, with nothing but the environment to go by
'use strict';
const { default: Credential } = require('@alicloud/credentials');
const { answer } = require('./harness');

const credential = new Credential();
answer(() => credential.getCredential());
