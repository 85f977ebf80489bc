"""oss2, metadata provider at the metadata address: oss2_ecs.py ROLE"""

import sys

from harness import run
from oss2.credentials import EcsRamRoleCredentialsProvider

role = sys.argv[1]
provider = EcsRamRoleCredentialsProvider(f"http://100.100.100.200/latest/meta-data/ram/security-credentials/{role}")


def call():
    credentials = provider.get_credentials()
    return credentials.get_access_key_id(), credentials.get_access_key_secret(), credentials.get_security_token()


run(call)
