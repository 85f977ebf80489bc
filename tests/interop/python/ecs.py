"""alibabacloud-credentials, ECS metadata: ecs.py METADATA_URL [ROLE]"""

import sys

from alibabacloud_credentials.provider import EcsRamRoleCredentialsProvider
from harness import CALLS, redirect, tell

redirect(sys.argv[1])
provider = EcsRamRoleCredentialsProvider(role_name="".join(sys.argv[2:]), async_update_enabled=False)
for _ in CALLS:
    got = provider.get_credentials()
tell(got.get_access_key_id(), got.get_access_key_secret(), got.get_security_token())
