"""alibabacloud-oss-v2 over the credentials client, as its manual shows: oss_v2.py URI

The AccessKeyId and the token are those of the address that it signs; the secret is in no address.
"""

import sys
from urllib.parse import parse_qs, urlsplit

import alibabacloud_oss_v2 as oss
from alibabacloud_credentials.client import Client
from alibabacloud_credentials.models import Config
from harness import answer

client = Client(Config(type="credentials_uri", credentials_uri=sys.argv[1]))
secrets = []


def credentials():
    got = client.get_credential()
    secrets[:] = [got.access_key_secret]
    return oss.credentials.Credentials(got.access_key_id, got.access_key_secret, got.security_token)


config = oss.config.load_default()
config.credentials_provider = oss.credentials.CredentialsProviderFunc(func=credentials)
config.region = "cn-hangzhou"
bucket = oss.Client(config)


def ask():
    signed = bucket.presign(oss.GetObjectRequest(bucket="my-bucket", key="k")).url
    query = parse_qs(urlsplit(signed).query)
    return query["x-oss-credential"][0].partition("/")[0], secrets[0], query["x-oss-security-token"][0]


answer(ask)
