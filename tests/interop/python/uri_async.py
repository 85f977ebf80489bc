"""alibabacloud-credentials, type credentials_uri, asyncio: uri_async.py URI"""

import asyncio
import sys

from alibabacloud_credentials.client import Client
from alibabacloud_credentials.models import Config
from harness import answer

client = Client(Config(type="credentials_uri", credentials_uri=sys.argv[1]))


async def ask():
    got = await client.get_credential_async()
    return got.access_key_id, got.access_key_secret, got.security_token


with asyncio.Runner() as runner:
    answer(lambda: runner.run(ask()))
