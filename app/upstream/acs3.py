"""Request signatures of Alibaba Cloud's OpenAPI (ACS3-HMAC-SHA256). Pure: time and nonce are arguments."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote

from ..core.formats import timestamp
from ..core.record import Record

ALGORITHM = "ACS3-HMAC-SHA256"
_NO_BODY = hashlib.sha256(b"").hexdigest()


class KeyPair(Record, frozen=True):
    """An AccessKey. `token` is the security token of temporary keys; the keys of a RAM user have none."""

    HIDDEN = frozenset({"secret", "token"})

    access_key_id: str
    secret: str
    token: str | None = None


def acs3(
    host: str, query: Mapping[str, str], *, action: str, version: str, keys: KeyPair, at: float, nonce: str
) -> dict[str, str]:
    """
    Return the headers of a signed POST to `/` on `host` (with its port, if the URL has one) with an empty body.

    The URL's query must be `canonical_query(query)`.
    """
    headers = {
        "host": host,
        "x-acs-accesskey-id": keys.access_key_id,
        "x-acs-action": action,
        "x-acs-content-sha256": _NO_BODY,
        "x-acs-date": timestamp(at),
        "x-acs-signature-nonce": nonce,
        "x-acs-version": version,
    }
    if keys.token is None:
        del headers["x-acs-accesskey-id"]  # the official client sends it with the token only
    else:
        headers["x-acs-security-token"] = keys.token
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    request = "\n".join(("POST", "/", canonical_query(query), lines, names, _NO_BODY))
    signed = f"{ALGORITHM}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.new(keys.secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
    authorization = f"{ALGORITHM} Credential={keys.access_key_id},SignedHeaders={names},Signature={signature}"
    return {**headers, "Authorization": authorization}


def canonical_query(query: Mapping[str, str]) -> str:
    """Return `query`, sorted and encoded by RFC 3986. The signature and the URL must both use this text."""
    return "&".join(f"{quote(name, safe='~')}={quote(query[name], safe='~')}" for name in sorted(query))
