"""alibabacloud-credentials, type credentials_uri: uri_sync.py URI"""

import sys

from alibabacloud_credentials.client import Client
from alibabacloud_credentials.models import Config
from harness import run

client = Client(Config(type="credentials_uri", credentials_uri=sys.argv[1]))


def call():
    credentials = client.get_credential()
    return credentials.access_key_id, credentials.access_key_secret, credentials.security_token


run(call)
