"""alibabacloud-credentials, default chain: chain.py, configured by environment variables only"""

from alibabacloud_credentials.client import Client
from harness import run

client = Client()


def call():
    credentials = client.get_credential()
    return credentials.access_key_id, credentials.access_key_secret, credentials.security_token


run(call)
