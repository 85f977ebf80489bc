"""What the Python client programs share: how often to ask, the one JSON line, a stand-in for 100.100.100.200."""

import json
import os
from urllib.parse import urlsplit

import urllib3.util.connection

CALLS = range(int(os.environ.get("INTEROP_CALLS", "1")))


def tell(key_id, secret, token):
    print(json.dumps({"AccessKeyId": key_id, "AccessKeySecret": secret, "SecurityToken": token}))


def redirect(url):
    """Connections to the metadata address go to `url`'s; the requests, Host included, stay as they are."""
    to = urlsplit(url)
    connect = urllib3.util.connection.create_connection

    def elsewhere(address, *args, **kwargs):
        return connect((to.hostname, to.port) if address == ("100.100.100.200", 80) else address, *args, **kwargs)

    urllib3.util.connection.create_connection = elsewhere
