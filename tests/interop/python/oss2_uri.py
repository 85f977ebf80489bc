"""oss2's metadata provider, which takes any URL: oss2_uri.py URI"""

import sys

from harness import CALLS, tell
from oss2.credentials import EcsRamRoleCredentialsProvider

provider = EcsRamRoleCredentialsProvider(sys.argv[1])
for _ in CALLS:
    got = provider.get_credentials()
tell(got.get_access_key_id(), got.get_access_key_secret(), got.get_security_token())
