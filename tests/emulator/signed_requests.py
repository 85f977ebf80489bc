"""Signed requests to STS and the EIAM OpenAPI, by either signature."""

import base64
import hashlib
import hmac
from typing import Any
from urllib.parse import quote

from app.emulator.world.world import ACCESS_KEY_ID, ACCESS_KEY_SECRET, CHAINED_ROLE_ARN

from .conftest import BASE, Changes, Cloud, changed

HOST = BASE.removeprefix("http://")
USER = (ACCESS_KEY_ID, ACCESS_KEY_SECRET, None)
EMPTY = hashlib.sha256(b"").hexdigest()
Keys = tuple[str, str, str | None]


def percent_encoded(text: str) -> str:
    """Return `text` encoded by the rules of both signatures."""
    return quote(text, safe="~")


def canonical_query(fields: Changes) -> str:
    """Return the sorted and encoded query of `fields`."""
    return "&".join(f"{percent_encoded(name)}={percent_encoded(fields[name])}" for name in sorted(fields))


def rpc_signature(method: str, fields: Changes, secret: str) -> str:
    """Return the RPC signature of a request."""
    text = f"{method}&%2F&{percent_encoded(canonical_query(fields))}"
    return base64.b64encode(hmac.digest(f"{secret}&".encode(), text.encode(), "sha1")).decode()


def acs3_signature(query: Changes, headers: Changes, secret: str) -> str:
    """Return the ACS3 signature of a POST request without a body."""
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = "\n".join(("POST", "/", canonical_query(query), lines, ";".join(sorted(headers)), EMPTY))
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(request.encode()).hexdigest()}"
    return hmac.new(secret.encode(), text.encode(), "sha256").hexdigest()


ROLE = {"RoleArn": CHAINED_ROLE_ARN, "RoleSessionName": "sidecar-1"}


async def rpc(cloud: Cloud, keys: Keys = USER, *, signed: Changes | None = None, **sent: Any) -> Any:
    """Send AssumeRole with an RPC signature. `signed` changes the signed fields, `sent` the fields after signing."""
    fields = {
        **ROLE,
        "Action": "AssumeRole",
        "Version": "2015-04-01",
        "Format": "JSON",
        "AccessKeyId": keys[0],
        "SecurityToken": keys[2],
        "SignatureMethod": "HMAC-SHA1",
        "SignatureNonce": "nonce-1",
        "SignatureVersion": "1.0",
        "Timestamp": "2026-01-02T03:04:05Z",
    }
    fields = changed(fields, signed or {})
    fields["Signature"] = rpc_signature("POST", fields, keys[1])
    return (await cloud.http.post("/", data=changed(fields, sent))).json()


async def acs3(
    cloud: Cloud,
    keys: Keys = USER,
    *,
    query: Changes | None = None,
    signed: Changes | None = None,
    action: tuple[str, str] = ("AssumeRole", "2015-04-01"),
    **sent: Any,
) -> Any:
    """Send a request with an ACS3 signature. `signed` changes the signed headers, `sent` the headers after signing."""
    query = ROLE if query is None else query
    headers = {
        "host": HOST,
        "x-acs-action": action[0],
        "x-acs-content-sha256": EMPTY,
        "x-acs-date": "2026-01-02T03:04:05Z",
        "x-acs-security-token": keys[2],
        "x-acs-signature-nonce": "nonce-1",
        "x-acs-version": action[1],
    }
    headers = changed(headers, signed or {})
    signature = acs3_signature(query, headers, keys[1])
    names = ";".join(sorted(headers))
    authorization = f"ACS3-HMAC-SHA256 Credential={keys[0]},SignedHeaders={names},Signature={signature}"
    headers = changed({**headers, "authorization": authorization, "accept": "application/json"}, sent)
    return (await cloud.http.post(f"/?{canonical_query(query)}", headers=headers)).json()


async def session_keys(cloud: Cloud) -> Keys:
    """Return the keys of a role session."""
    credentials = (await cloud.assume_role_with_oidc()).json()["Credentials"]
    return credentials["AccessKeyId"], credentials["AccessKeySecret"], credentials["SecurityToken"]
