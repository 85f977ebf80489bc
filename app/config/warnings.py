"""What works, but worse than its owner may think: one sentence each, for the log and for `config`."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.model import ConfigError
from ..core.schedule import QUIET_ABOVE, SHORTEST_SESSION, lead
from ..identity import validate
from ..identity.settings import IdaasIdentity, Identity, Keys, OidcClientIdentity, TokenFileIdentity
from ..system import files, secrets
from .settings import PathToken, Settings


def warnings(whole: Settings) -> Iterator[str]:
    """The sentences, each beginning with the key that it is about."""
    for name, profile in whole.profiles.items():
        place = f"profiles.{name}"
        for identity, where in validate.parts(profile.identity, f"{place}.identity"):
            yield from _identity(identity, where)
        last, where = (profile.chain[-1], f"chain[{len(profile.chain) - 1}]") if profile.chain else (None, "exchange")
        seconds = (last or profile.exchange).duration_seconds
        if seconds is not None:
            yield from _session(seconds, f"{place}.{where}.durationSeconds")
    if isinstance(whole.access.path_token, PathToken):
        yield from _exposed(whole.access.path_token.file, "access.pathToken.file")
    yield from _exposed(whole.cache.key_file, "cache.keyFile")
    if whole.access.unsafe_bind:
        yield "access.unsafeBind: credentials may be served on addresses that other machines reach"


def _identity(identity: Identity, place: str) -> Iterator[str]:
    if isinstance(identity, TokenFileIdentity):
        try:
            secrets.from_file(identity.token_file, f"{place}.tokenFile")()
        except ConfigError as error:
            # No error, because kubelet or an agent may write it a moment later.
            yield f"{error}; waiting for whoever writes it"
        yield from _exposed(identity.token_file, f"{place}.tokenFile")
    if isinstance(identity, IdaasIdentity) and identity.authn_configuration is not None:
        config = identity.authn_configuration
        yield from _exposed_keys(config, f"{place}.authnConfiguration")
        yield from _exposed(config.oidc_token_file_path, f"{place}.authnConfiguration.oidcTokenFilePath")
    if isinstance(identity, OidcClientIdentity):
        yield from _exposed_keys(identity.client_authentication, f"{place}.clientAuthentication")
    http = validate.http_of(identity)
    if http is not None and http.unsafe_ignore_ssl_cert:
        yield (
            f"{place}.httpConfiguration.unsafeIgnoreSslCert: TLS VERIFICATION IS OFF for the token endpoint: whoever "
            "is on the path can take the client's secret; use tls.caFile instead"
        )


def _exposed_keys(keys: Keys, place: str) -> Iterator[str]:
    yield from _exposed(keys.client_secret_file, f"{place}.clientSecretFile")
    yield from _exposed(keys.private_key_file, f"{place}.privateKeyFile")


def _exposed(path: str | None, place: str) -> Iterator[str]:
    """A secret file that is accepted as it is, though more can read it than need to."""
    why = files.exposure(path) if path else None
    if why is not None:
        yield f"{place}: {path}: {why}"


def _session(seconds: int, place: str) -> Iterator[str]:
    if seconds <= SHORTEST_SESSION:
        yield (
            f"{place}: sessions of {seconds} s never leave the 900 s margin of the Python, Java, Node, PHP and C# "
            "SDKs: each of their calls will ask again; 3600 is the default"
        )
    elif lead(seconds) < QUIET_ABOVE:
        yield (
            f"{place}: sessions of {seconds} s are replaced with {lead(seconds):.0f} s left; clients with a margin of "
            f"up to {QUIET_ABOVE:.0f} s will ask more often; 3600 keeps them quiet"
        )
