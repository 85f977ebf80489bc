"""alibabacloud-credentials, ECS metadata: ecs.py [ROLE]"""

import sys

from alibabacloud_credentials.provider import EcsRamRoleCredentialsProvider
from harness import answer

provider = EcsRamRoleCredentialsProvider(role_name="".join(sys.argv[1:]), async_update_enabled=False)


def ask():
    got = provider.get_credentials()
    return got.get_access_key_id(), got.get_access_key_secret(), got.get_security_token()


answer(ask)
