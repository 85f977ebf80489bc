"""alibabacloud-credentials, default chain: chain.py, with nothing but the environment to go by"""

from alibabacloud_credentials.client import Client
from harness import CALLS, tell

client = Client()
for _ in CALLS:
    got = client.get_credential()
tell(got.access_key_id, got.access_key_secret, got.security_token)
