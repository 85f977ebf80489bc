"""Reads a token from the output of a program, and returns it as members of an OAuth token response.

The known forms: an OAuth token response; a bare JWT; GitHub's `{"value": ...}`; the ExecCredential of kubectl's
plug-ins; the list that `spire-agent api fetch jwt -output json` prints. Any other JSON with one JWT is read if
the member's name says that it is a token. Kubernetes' TokenRequest, Vault and the CLIs of clouds print such JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..core.json_text import TooDeep, json_value
from ..core.values import TokenUse
from . import jwt_claims


def token_members(output: bytes, use: TokenUse) -> dict[str, Any] | None:
    """
    Return the members of a token response; None for an unknown form. Raises TooDeep.

    `use`: the member for an unnamed token.
    """
    text = output.decode("utf-8-sig", "replace").strip().strip('"')  # `jq` without `-r` prints a JSON string
    text = re.sub(r"^(Authorization:\s*)?Bearer\s+", "", text, flags=re.IGNORECASE)
    if jwt_claims.unverified(text) is not None:
        return {use: text}
    try:
        value = json_value(text)
    except TooDeep:
        raise
    except ValueError:
        return None
    if isinstance(value, list):
        svid = _spire_token(value) or _only_token(value)
        return {use: svid} if svid else None
    if not isinstance(value, dict):
        return None
    found = _unnamed_token(value)
    return {use: found} if isinstance(found, str) and not value.get(use) else value


def _unnamed_token(value: Mapping[str, Any]) -> Any:
    """Return the token of an object that is not an OAuth answer. Any value that is not a string means no token."""
    if value.get("kind") == "ExecCredential":
        status = value.get("status")
        return status.get("token") if isinstance(status, Mapping) else None
    found = value.get("value") if not _is_refresh(value) else None
    if not isinstance(found, str) and not value.keys() & _NAMED:
        return _only_token(value)
    return found


_NAMED = frozenset({"access_token", "id_token", "error"})
"""The members of an OAuth answer. Their meaning counts, whatever other tokens are beside them."""


_MEMBERS = frozenset({"token", "accesstoken", "idtoken", "identitytoken", "webidentitytoken", "jwt"})
"""The names of members with a token, in lower case. Other JWTs may be refresh tokens or a client's secret."""


def _only_token(value: Any) -> str | None:
    """Return the JWT in the members of _MEMBERS if there is exactly one. A refresh token must not reach a server."""
    found: set[str] = set()
    level = [("", value)]
    while level:
        name, item = level.pop()
        if isinstance(item, dict):
            level += item.items() if not _is_refresh(item) else ()
        elif isinstance(item, list):
            level += ((name, child) for child in item)
        elif re.sub("[-_]", "", name).lower() in _MEMBERS and jwt_claims.unverified(str(item)) is not None:
            found.add(item)
    return found.pop() if len(found) == 1 else None


def _is_refresh(members: Mapping[str, Any]) -> bool:
    """Return whether a member says that the token beside it is a refresh token, such as `"type": "refresh_token"`."""
    return any(isinstance(each, str) and "refresh" in each.lower() for each in members.values())


def _spire_token(items: list[Any]) -> str | None:
    for item in items:
        svids = item.get("svids") if isinstance(item, Mapping) else None
        for svid in svids if isinstance(svids, list) else ():
            if isinstance(svid, Mapping) and isinstance(svid.get("svid"), str):
                return str(svid["svid"])
    return None
