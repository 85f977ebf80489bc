"""aliyun-python-sdk-core, ECS metadata: core_ecs.py ROLE

The signer does not expose its credentials. AccessKeyId and token are taken from the request that it signs.
"""

import sys
from urllib.parse import parse_qs, urlsplit

from aliyunsdkcore.auth.credentials import EcsRamRoleCredential
from aliyunsdkcore.auth.signers.ecs_ram_role_signer import EcsRamRoleSigner
from aliyunsdkcore.request import RpcRequest
from harness import run

signer = EcsRamRoleSigner(EcsRamRoleCredential(sys.argv[1]))


def call():
    _, signed = signer.sign("cn-hangzhou", RpcRequest("Sts", "2015-04-01", "GetCallerIdentity"))
    query = parse_qs(urlsplit(signed).query)
    return query["AccessKeyId"][0], signer._session_credential[1], query["SecurityToken"][0]


run(call)
