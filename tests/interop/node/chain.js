// @alicloud/credentials, default chain: chain.js, with nothing but the environment to go by
'use strict';
const { default: Credential } = require('@alicloud/credentials');
const { tell } = require('./harness');

tell(new Credential());
