"""What works, but worse than its owner may think: one sentence each, for the log and for `config`."""

from __future__ import annotations

from collections.abc import Iterator

from . import secrets
from .model import ConfigError
from .schedule import QUIET_ABOVE, SHORTEST_SESSION, lead
from .settings import IdaasIdentity, Settings, TokenFileIdentity


def warnings(whole: Settings) -> Iterator[str]:
    """The sentences, each beginning with the key that it is about."""
    for name, profile in whole.profiles.items():
        place = f"profiles.{name}"
        yield from _identity(profile.identity, f"{place}.identity")
        yield from _session(profile.exchange.duration_seconds, f"{place}.exchange.durationSeconds")
    if whole.access.unsafe_bind:
        yield "access.unsafeBind: credentials may be served on addresses that other machines reach"


def _identity(identity: IdaasIdentity | TokenFileIdentity, place: str) -> Iterator[str]:
    if isinstance(identity, TokenFileIdentity):
        try:
            secrets.from_file(identity.token_file, f"{place}.tokenFile")()
        except ConfigError as error:
            # No error, because kubelet or an agent may write it a moment later.
            yield f"{error}; waiting for whoever writes it"
    elif identity.http_configuration.unsafe_ignore_ssl_cert:
        yield (
            f"{place}.httpConfiguration.unsafeIgnoreSslCert: TLS VERIFICATION IS OFF for the token endpoint: whoever "
            "is on the path can take the client's secret; use tls.caFile instead"
        )


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
