"""The protocol of objects that exchange a token for credentials."""

from __future__ import annotations

from typing import Protocol

from ..core.values import Credentials, Token


class Exchange(Protocol):
    """Opens a session for a token. Raises Unreachable, or Refused, with `renew_token` if a new token may work."""

    async def credentials(self, token: Token) -> Credentials: ...
