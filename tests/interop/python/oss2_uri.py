"""oss2's metadata provider, which takes any URL: oss2_uri.py URI"""

import sys

from harness import answer
from oss2.credentials import EcsRamRoleCredentialsProvider

provider = EcsRamRoleCredentialsProvider(sys.argv[1])


def ask():
    got = provider.get_credentials()
    return got.get_access_key_id(), got.get_access_key_secret(), got.get_security_token()


answer(ask)
