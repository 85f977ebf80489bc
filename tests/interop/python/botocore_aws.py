"""botocore, container credentials provider: botocore_aws.py, configured by environment variables only"""

from botocore.session import Session
from harness import run


def call():
    credentials = Session().get_credentials().get_frozen_credentials()
    return credentials.access_key, credentials.secret_key, credentials.token


run(call)
