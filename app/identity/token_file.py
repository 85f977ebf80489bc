"""`identity.type: tokenFile`: an OIDC token that another program keeps fresh in a file (kubelet, a Vault agent)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from msgspec import Meta

from ..core.base import OtherFile, Strict
from ..core.checks import Check, check, key_paths
from ..core.errors import ConfigError, NotThereYet
from ..core.values import Secret
from ..system import secrets
from .context import Context, TokenSource
from .foreign_token import ForeignToken


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


def build(identity: TokenFileIdentity, place: str, context: Context) -> TokenSource:
    """Return the source of the token in the file."""
    read = token_reader(identity, place, context.environ)
    return ForeignToken(read, place, context.now, context.is_synchronised, context.disk)


def checks(identity: TokenFileIdentity, place: str) -> Iterator[Check]:
    """Yield the check that exactly one of the keys says where the token is. Pure."""
    yield check(token_reader, identity, place, {}, needs=_keys(identity, place))


def read_checks(identity: TokenFileIdentity, place: str, environ: Mapping[str, str]) -> Iterator[Check]:
    """Yield the check that the token exists."""
    yield check(read, identity, place, environ, needs=_keys(identity, place))


def _keys(identity: TokenFileIdentity, place: str) -> tuple[str, ...]:
    return key_paths(place, identity.key("token_env_var_name"), identity.key("token_file"))


def read(identity: TokenFileIdentity, place: str, environ: Mapping[str, str]) -> None:
    """Raise ConfigError if the variable is missing, and NotThereYet without a usable file: it may be written soon."""
    try:
        token_reader(identity, place, environ)()
    except ConfigError as error:
        if identity.token_file is None:
            raise
        raise NotThereYet(error.cause, error.cure) from None


def token_reader(identity: TokenFileIdentity, place: str, environ: Mapping[str, str]) -> Secret:
    """Return the reader of the token. Raises ConfigError unless exactly one key is set."""
    return secrets.one_of(
        environ,
        name=identity.token_env_var_name,
        path=identity.token_file,
        place=place,
        keys=(identity.key("token_env_var_name"), identity.key("token_file")),
        private=False,
    )
