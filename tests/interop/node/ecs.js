// @alicloud/credentials, ECS metadata: ecs.js METADATA_URL [ROLE]
'use strict';
const { default: Credential, Config } = require('@alicloud/credentials');
const { redirect, tell } = require('./harness');

redirect(process.argv[2]);
tell(new Credential(new Config({ type: 'ecs_ram_role', roleName: process.argv[3] })));
