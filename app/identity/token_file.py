"""`identity.type: tokenFile`: an OIDC token that another program keeps fresh in a file (kubelet, a Vault agent)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated

from msgspec import Meta, field

from ..core.base import OtherFile, Strict
from ..core.checks import Check, check, places
from ..core.errors import ConfigError, NotThereYet, Refused, Unreachable
from ..core.record import Record
from ..core.values import Now, Secret, Token
from ..system import secrets
from ..system.disk import Disk
from . import jwt_claims
from .context import Context, TokenSource


class TokenFileIdentity(Strict, tag_field="type", tag="tokenFile", frozen=True):
    """An OIDC token that another program keeps fresh in a file, such as a projected service-account token."""

    token_file: Annotated[
        OtherFile | None,
        Meta(description="Path of the file. It is read at every refresh; white space around it is removed."),
    ] = None
    token_env_var_name: Annotated[
        str | None,
        Meta(description="Environment variable that holds the token, instead of a file: a CI job's, for example."),
    ] = None


class TokenFile(Record, frozen=True):
    """
    The token in the file, read at every refresh.

    `is_synchronised`: whether `now` is the cloud's time. If not, even a token that looks expired is presented, and the
    cloud decides.
    """

    HIDDEN = frozenset({"disk"})

    read: Secret
    place: str
    now: Now
    is_synchronised: Callable[[], bool]
    disk: Disk = field(default_factory=Disk)

    async def token(self) -> Token:
        value = await secrets.read(self.read, self.disk)
        claims = jwt_claims.unverified(value)
        if claims is None:
            raise Refused(f"{self.place}: the token is not a JWT", status=0, code="invalid_token", error_code="IDS-321")
        if claims.expires_at is not None and claims.expires_at <= self.now() and self.is_synchronised():
            raise Unreachable(
                f"{self.place}: the token has expired; the program that writes it is late", error_code="IDS-322"
            )
        return Token(value, claims.expires_at if claims.expires_at is not None else self.now())


def build(identity: TokenFileIdentity, place: str, context: Context) -> TokenSource:
    """Return the source of the token in the file."""
    read = token(identity, place, context.environ)
    return TokenFile(read, place, context.now, context.is_synchronised, context.disk)


def checks(identity: TokenFileIdentity, place: str) -> Iterator[Check]:
    """Yield the check that exactly one of the keys says where the token is. Pure."""
    yield check(token, identity, place, {}, needs=_keys(identity, place))


def read_checks(identity: TokenFileIdentity, place: str, environ: Mapping[str, str]) -> Iterator[Check]:
    """Yield the check that the token exists."""
    yield check(read, identity, place, environ, needs=_keys(identity, place))


def _keys(identity: TokenFileIdentity, place: str) -> tuple[str, ...]:
    return places(place, identity.key("token_env_var_name"), identity.key("token_file"))


def read(identity: TokenFileIdentity, place: str, environ: Mapping[str, str]) -> None:
    """Raise ConfigError if the variable is missing, and NotThereYet without a usable file: it may be written soon."""
    try:
        token(identity, place, environ)()
    except ConfigError as error:
        if identity.token_file is None:
            raise
        raise NotThereYet(error.cause, error.cure) from None


def token(identity: TokenFileIdentity, place: str, environ: Mapping[str, str]) -> Secret:
    """Return the reader of the token. Raises ConfigError unless exactly one key is set."""
    return secrets.one_of(
        environ,
        name=identity.token_env_var_name,
        path=identity.token_file,
        place=place,
        keys=(identity.key("token_env_var_name"), identity.key("token_file")),
        private=False,
    )
