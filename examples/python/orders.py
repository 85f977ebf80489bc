"""A program with Alibaba Cloud credentials: it asks STS who it is. It knows nothing of the sidecar."""

from __future__ import annotations

import base64
import hmac
import json
import os
import time
import uuid
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import urlopen

from alibabacloud_credentials.client import Client

STS_ENDPOINT = "https://sts.aliyuncs.com"


def caller_identity(endpoint: str = STS_ENDPOINT) -> dict[str, Any]:
    """Return Arn and AccountId of the credentials that the SDK's default chain finds."""
    credential = Client().get_credential()
    fields = {
        "Action": "GetCallerIdentity",
        "Version": "2015-04-01",
        "Format": "JSON",
        "AccessKeyId": credential.access_key_id,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": str(uuid.uuid4()),
        "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    if credential.security_token:
        fields["SecurityToken"] = credential.security_token
    query = "&".join(f"{quote(name, safe='~')}={quote(fields[name], safe='~')}" for name in sorted(fields))
    text = f"POST&%2F&{quote(query, safe='~')}"
    digest = hmac.digest(f"{credential.access_key_secret}&".encode(), text.encode(), "sha1")
    fields["Signature"] = base64.b64encode(digest).decode()
    try:
        with urlopen(endpoint, urlencode(fields).encode(), timeout=10) as response:
            found: dict[str, Any] = json.load(response)
    except HTTPError as error:
        raise RuntimeError(f"STS refused: {json.load(error)['Code']}") from None
    return found


if __name__ == "__main__":
    print(caller_identity(os.environ.get("STS_ENDPOINT", STS_ENDPOINT))["Arn"])
