"""oss2's metadata provider at its own address: oss2_ecs.py METADATA_URL ROLE"""

import sys

from harness import CALLS, redirect, tell
from oss2.credentials import EcsRamRoleCredentialsProvider

redirect(sys.argv[1])
role = sys.argv[2]
provider = EcsRamRoleCredentialsProvider(f"http://100.100.100.200/latest/meta-data/ram/security-credentials/{role}")
for _ in CALLS:
    got = provider.get_credentials()
tell(got.get_access_key_id(), got.get_access_key_secret(), got.get_security_token())
