"""A token of another issuer that another program writes: into a file, or into a variable of a CI job."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import field

from ..core.errors import Refused, Unreachable
from ..core.json_text import TooDeep
from ..core.record import Record
from ..core.values import Now, Secret, Token
from ..system import secrets
from ..system.disk import Disk
from . import jwt_claims
from .command_output import token_members


class ForeignToken(Record, frozen=True):
    """
    The token of `secret`, read at each use, because its writer renews it.

    `is_synchronised`: whether `now` is the cloud's time. If not, even a token that looks expired is presented, and the
    cloud decides.
    """

    HIDDEN = frozenset({"disk"})

    secret: Secret
    place: str
    now: Now
    is_synchronised: Callable[[], bool]
    disk: Disk = field(default_factory=Disk)

    async def token(self) -> Token:
        """
        Return the token, in any form that a program prints. Without an expiry, it ends now.

        Raises Refused for a text without a token, and Unreachable for an expired token: neither is sent to a server.
        """
        value = plain(await secrets.read(self.secret, self.disk))
        claims = jwt_claims.unverified(value)
        if claims is None:
            raise Refused(f"{self.place}: the token is not a JWT", status=0, code="invalid_token", error_code="IDS-321")
        if claims.expires_at is not None and claims.expires_at <= self.now() and self.is_synchronised():
            raise Unreachable(
                f"{self.place}: the token has expired; the program that writes it is late", error_code="IDS-322"
            )
        return Token(value, claims.expires_at if claims.expires_at is not None else self.now())


def plain(text: str) -> str:
    """Return the token of a text in quotes, behind `Bearer`, or in JSON; any other text unchanged."""
    if jwt_claims.unverified(text) is not None:
        return text
    try:
        members = token_members(text.encode(), "access_token") or {}
    except TooDeep:
        return text
    named = (members.get("access_token"), members.get("id_token"))
    return next((each for each in named if isinstance(each, str) and jwt_claims.unverified(each) is not None), text)
