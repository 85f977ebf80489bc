"""alibabacloud-credentials, default chain: chain.py, with nothing but the environment to go by"""

from alibabacloud_credentials.client import Client
from harness import answer

client = Client()


def ask():
    got = client.get_credential()
    return got.access_key_id, got.access_key_secret, got.security_token


answer(ask)
