"""oss2, metadata provider, which accepts any URL: oss2_uri.py URI"""

import sys

from harness import run
from oss2.credentials import EcsRamRoleCredentialsProvider

provider = EcsRamRoleCredentialsProvider(sys.argv[1])


def call():
    credentials = provider.get_credentials()
    return credentials.get_access_key_id(), credentials.get_access_key_secret(), credentials.get_security_token()


run(call)
