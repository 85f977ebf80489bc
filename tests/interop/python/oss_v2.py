"""alibabacloud-oss-v2 with the credentials client, as in its manual: oss_v2.py URI

AccessKeyId and token are taken from the URL that it signs. The secret is in no URL.
"""

import sys
from urllib.parse import parse_qs, urlsplit

import alibabacloud_oss_v2 as oss
from alibabacloud_credentials.client import Client
from alibabacloud_credentials.models import Config
from harness import run

client = Client(Config(type="credentials_uri", credentials_uri=sys.argv[1]))
secrets = []


def credentials():
    found = client.get_credential()
    secrets[:] = [found.access_key_secret]
    return oss.credentials.Credentials(found.access_key_id, found.access_key_secret, found.security_token)


config = oss.config.load_default()
config.credentials_provider = oss.credentials.CredentialsProviderFunc(func=credentials)
config.region = "cn-hangzhou"
bucket = oss.Client(config)


def call():
    signed = bucket.presign(oss.GetObjectRequest(bucket="my-bucket", key="k")).url
    query = parse_qs(urlsplit(signed).query)
    return query["x-oss-credential"][0].partition("/")[0], secrets[0], query["x-oss-security-token"][0]


run(call)
