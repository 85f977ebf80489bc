"""What turns a token into credentials."""

from __future__ import annotations

from typing import Protocol

from ..core.values import Credentials, Token


class Exchange(Protocol):
    """Opens a session for a token. Raises Refused, with `renew_token` where a new token may pass; or Unreachable."""

    async def credentials(self, token: Token) -> Credentials: ...
