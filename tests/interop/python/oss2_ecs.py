"""oss2's metadata provider at the metadata address: oss2_ecs.py ROLE"""

import sys

from harness import answer
from oss2.credentials import EcsRamRoleCredentialsProvider

role = sys.argv[1]
provider = EcsRamRoleCredentialsProvider(f"http://100.100.100.200/latest/meta-data/ram/security-credentials/{role}")


def ask():
    got = provider.get_credentials()
    return got.get_access_key_id(), got.get_access_key_secret(), got.get_security_token()


answer(ask)
