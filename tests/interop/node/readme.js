const { default: Credential } = require('@alicloud/credentials');

new Credential().getCredential().then((credential) => console.log(credential.accessKeyId));
