"""alibabacloud-credentials, type credentials_uri, asyncio: uri_async.py URI"""

import asyncio
import sys

from alibabacloud_credentials.client import Client
from alibabacloud_credentials.models import Config
from harness import run

client = Client(Config(type="credentials_uri", credentials_uri=sys.argv[1]))


async def call():
    credentials = await client.get_credential_async()
    return credentials.access_key_id, credentials.access_key_secret, credentials.security_token


with asyncio.Runner() as runner:
    run(lambda: runner.run(call()))
