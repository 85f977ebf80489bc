"""`identity.type: tokenFile`: an OIDC token that another program keeps fresh in a file (kubelet, a Vault agent)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

from ..core.base import OtherFile, Strict
from ..core.errors import Refused, Unreachable
from ..core.values import Now, Secret, Token
from ..system import secrets
from ..system.disk import Disk
from . import jwt_claims
from .context import Context, TokenSource


class TokenFileIdentity(Strict, tag_field="type", tag="tokenFile", frozen=True):
    """An OIDC token that another program keeps fresh in a file, such as a projected service-account token."""

    token_file: Annotated[
        OtherFile, Meta(description="Path of the file. It is read at every refresh; white space around it is removed.")
    ]


@dataclass(frozen=True, slots=True)
class TokenFile:
    """
    The token in the file, read at every refresh.

    `is_synchronised`: whether `now` is the cloud's time. Where it is not, the token is presented and the cloud judges.
    """

    read: Secret
    place: str
    now: Now
    is_synchronised: Callable[[], bool]
    disk: Disk = field(default_factory=Disk, repr=False)

    async def token(self) -> Token:
        value = await secrets.read(self.read, self.disk)
        claims = jwt_claims.unverified(value)
        if claims is None:
            raise Refused(f"{self.place}: the file does not hold a JWT", status=0, code="invalid_token")
        if claims.expires_at is not None and claims.expires_at <= self.now() and self.is_synchronised():
            raise Unreachable(f"{self.place}: the token in the file has expired; the program that writes it is late")
        return Token(value, claims.expires_at if claims.expires_at is not None else self.now())


def build(identity: TokenFileIdentity, place: str, context: Context) -> TokenSource:
    """Return the source of the token in the file."""
    place = f"{place}.{identity.key('token_file')}"
    read = secrets.from_file(identity.token_file, place)
    return TokenFile(read, place, context.now, context.is_synchronised, context.disk)
