"""alibabacloud-credentials, ECS metadata: ecs.py [ROLE]"""

import sys

from alibabacloud_credentials.provider import EcsRamRoleCredentialsProvider
from harness import run

provider = EcsRamRoleCredentialsProvider(role_name="".join(sys.argv[1:]), async_update_enabled=False)


def call():
    credentials = provider.get_credentials()
    return credentials.get_access_key_id(), credentials.get_access_key_secret(), credentials.get_security_token()


run(call)
