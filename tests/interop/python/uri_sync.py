"""alibabacloud-credentials, type credentials_uri: uri_sync.py URI"""

import sys

from alibabacloud_credentials.client import Client
from alibabacloud_credentials.models import Config
from harness import answer

client = Client(Config(type="credentials_uri", credentials_uri=sys.argv[1]))


def ask():
    got = client.get_credential()
    return got.access_key_id, got.access_key_secret, got.security_token


answer(ask)
