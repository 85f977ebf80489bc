"""Reads a token from the output of a program, and returns it as members of an OAuth token response.

The known forms: an OAuth token response; a bare JWT; GitHub's `{"value": ...}`; the ExecCredential of kubectl's
plug-ins; the list that `spire-agent api fetch jwt -output json` prints.
"""

from __future__ import annotations

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
    if jwt_claims.unverified(text) is not None:
        return {use: text}
    try:
        value = json_value(text)
    except TooDeep:
        raise
    except ValueError:
        return None
    if isinstance(value, list):
        svid = _spire_token(value)
        return {use: svid} if svid else None
    if not isinstance(value, dict):
        return None
    found = value.get("value")
    if value.get("kind") == "ExecCredential":
        status = value.get("status")
        found = status.get("token") if isinstance(status, Mapping) else None
    return {use: found} if isinstance(found, str) and not value.get(use) else value


def _spire_token(items: list[Any]) -> str | None:
    for item in items:
        svids = item.get("svids") if isinstance(item, Mapping) else None
        for svid in svids if isinstance(svids, list) else ():
            if isinstance(svid, Mapping) and isinstance(svid.get("svid"), str):
                return str(svid["svid"])
    return None
