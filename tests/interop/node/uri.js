// @alicloud/credentials, type credentials_uri: uri.js URI
'use strict';
const { default: Credential, Config } = require('@alicloud/credentials');
const { tell } = require('./harness');

tell(new Credential(new Config({ type: 'credentials_uri', credentialsURI: process.argv[2] })));
