"""alibabacloud-credentials, type credentials_uri, asyncio: uri_async.py URI"""

import asyncio
import sys

from alibabacloud_credentials.client import Client
from alibabacloud_credentials.models import Config
from harness import CALLS, tell


async def main():
    client = Client(Config(type="credentials_uri", credentials_uri=sys.argv[1]))
    for _ in CALLS:
        got = await client.get_credential_async()
    tell(got.access_key_id, got.access_key_secret, got.security_token)


asyncio.run(main())
