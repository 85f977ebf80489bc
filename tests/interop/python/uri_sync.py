"""alibabacloud-credentials, type credentials_uri: uri_sync.py URI"""

import sys

from alibabacloud_credentials.client import Client
from alibabacloud_credentials.models import Config
from harness import CALLS, tell

client = Client(Config(type="credentials_uri", credentials_uri=sys.argv[1]))
for _ in CALLS:
    got = client.get_credential()
tell(got.access_key_id, got.access_key_secret, got.security_token)
