// @alicloud/credentials, ECS metadata: ecs.js [ROLE]
'use strict';
const { default: Credential, Config } = require('@alicloud/credentials');
const { run } = require('./harness');

const credential = new Credential(new Config({ type: 'ecs_ram_role', roleName: process.argv[2] }));
run(() => credential.getCredential());
