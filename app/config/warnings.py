"""Warnings about settings that work, but not as their owner may expect: one sentence each, for the log and `config`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from ..core import proxies
from ..core.arns import account_of, unusual_account
from ..core.checks import profile_place
from ..core.display import displayed
from ..core.errors import Mistake
from ..core.no_proxy import unread_entries
from ..core.schedule import QUIET_ABOVE, SHORTEST_SESSION, lead
from ..exchange.regions import misspelt, region_of
from ..exchange.settings import PROVIDER_MANAGED, DeveloperApiExchange, StsExchange
from ..identity import identities
from ..identity.idaas import IdaasIdentity
from ..identity.identities import Identity
from ..identity.methods.keys import ClientSecretMethod, PrivateKeyMethod
from ..identity.methods.oidc import IdaasOidc
from ..identity.token_file import TokenFileIdentity
from ..system import files
from .decode import DRAWBACK
from .explain import leaves
from .settings import PathToken, Settings


def warnings(
    settings: Settings, unchecked: Collection[str] = (), environ: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Mistake]:
    """
    Yield the warnings. Each sentence begins with the key that it concerns.

    `unchecked`: profiles that need files which do not answer.
    """
    for name, profile in settings.profiles.items():
        place = profile_place(name)
        if name not in unchecked:
            for identity, where in identities.parts(profile.identity, f"{place}.identity"):
                yield from _identity(identity, where)
        last, where = (profile.chain[-1], f"chain[{len(profile.chain) - 1}]") if profile.chain else (None, "exchange")
        seconds = (last or profile.exchange).duration_seconds
        if seconds is not None:
            yield from _session(seconds, f"{place}.{where}.durationSeconds")
        chain = ((role, f"chain[{index}]") for index, role in enumerate(profile.chain))
        for part, key in ((profile.exchange, "exchange"), *chain):
            yield from _region(part.region_id, f"{place}.{key}.regionId")
            yield from _account(part.role_arn, f"{place}.{key}.roleArn")
        if isinstance(profile.exchange, StsExchange):
            yield from _account(profile.exchange.oidc_provider_arn, f"{place}.exchange.oidcProviderArn")
        if isinstance(profile.exchange, DeveloperApiExchange):
            yield from _other_audience(profile.identity, f"{place}.identity")
    if isinstance(settings.access.path_token, PathToken):
        yield from _exposed(settings.access.path_token.file, "access.pathToken.file")
    yield from _exposed(settings.cache.key_file, "cache.keyFile")
    if settings.access.unsafe_bind:
        yield Mistake("access.unsafeBind: credentials may be served on addresses that other machines reach", DRAWBACK)
    yield from _single_values(settings)
    yield from _no_proxy(settings, environ)


def _no_proxy(settings: Settings, environ: Mapping[str, str]) -> Iterator[Mistake]:
    """Yield the entries of NO_PROXY that cover no server, where the environment has a proxy."""
    if settings.proxy is not None or proxies.proxy_variable("https://", environ) is None:
        return
    for entry in unread_entries(proxies.no_proxy(environ)):
        yield Mistake(
            f"NO_PROXY: {displayed('endpoint', entry)!r} covers no server",
            DRAWBACK,
            "write a name without scheme, path and pattern, an address, or a network such as 10.0.0.0/8",
        )


def _identity(identity: Identity, place: str) -> Iterator[Mistake]:
    if isinstance(identity, TokenFileIdentity):
        yield from _exposed(identity.token_file, f"{place}.{identity.key('token_file')}")
    found = identities.method_of(identity, place)
    if found is not None:
        method, where = found
        if isinstance(method, ClientSecretMethod):
            yield from _exposed(method.client_secret_file, f"{where}.{method.key('client_secret_file')}")
        if isinstance(method, PrivateKeyMethod):
            yield from _exposed(method.private_key_file, f"{where}.{method.key('private_key_file')}")
        if isinstance(method, IdaasOidc):
            yield from _exposed(method.oidc_token_file_path, f"{where}.{method.key('oidc_token_file_path')}")
    http = identities.http_of(identity)
    if http is not None and http.unsafe_ignore_ssl_cert:
        yield Mistake(
            f"{place}.httpConfiguration.unsafeIgnoreSslCert: TLS VERIFICATION IS OFF for the token endpoint: an "
            "attacker on the path can take the client's secret",
            DRAWBACK,
            "use tls.caFile instead",
        )


def _single_values(settings: Settings) -> Iterator[Mistake]:
    """Yield the warnings about values of any section: white space at an end, and a misspelt region in an endpoint."""
    for key, value in leaves(settings):
        if isinstance(value, str) and value != value.strip():
            cure = "remove it, also from a variable's value"  # a variable's value may come from a file with a line end
            yield Mistake(f"{key}: white space at an end of the value", DRAWBACK, cure)
        if key.endswith(("ndpoint", "ndpoints")):
            yield from _regional(value, key)


def _exposed(path: str | None, place: str) -> Iterator[Mistake]:
    """Yield a warning if more processes than necessary can read a secret file that is accepted."""
    why = files.exposure(path) if path else None
    if why is not None:
        yield Mistake(f"{place}: {path}: {why.cause}", "IDS-130", why.cure)


def _region(region: str | None, place: str, part: str = "") -> Iterator[Mistake]:
    """
    Yield a warning with the region that is probably meant, if the name is not a region.

    `part` names the part of the value that is the region, such as `the host in `.
    """
    meant = misspelt(region) if region else None
    if meant is not None:
        cause = f"{place}: {region} is not a region that this version knows; did you mean {meant}?"
        cure = f"write {meant} into {part}{place}; a region newer than this version needs no change"
        yield Mistake(cause, DRAWBACK, cure)


def _regional(value: Any, place: str) -> Iterator[Mistake]:
    """Yield a warning for each endpoint of Alibaba Cloud whose region is misspelt. `value`: one endpoint, or a list."""
    for index, endpoint in enumerate(value if isinstance(value, list) else [value]):
        region = region_of(endpoint) if isinstance(endpoint, str) else None
        yield from _region(region, f"{place}[{index}]" if isinstance(value, list) else place, "the host in ")


def _account(arn: str, place: str) -> Iterator[Mistake]:
    """Yield a warning if the account id of an ARN has an unusual length: a digit is easily lost."""
    why = unusual_account(account_of(arn))
    if why:
        yield Mistake(f"{place}: {why}", "IDS-110", "copy the ARN from RAM, and change nothing if RAM shows this id")


def _other_audience(identity: Identity, place: str) -> Iterator[Mistake]:
    """Yield a warning if the DeveloperAPI will answer 403 to a token of this scope."""
    if isinstance(identity, IdaasIdentity) and identity.scope:
        audience, wanted = (scope.partition("|")[0] for scope in (identity.scope, PROVIDER_MANAGED))
        if audience != wanted:
            yield Mistake(
                f"{place}.scope: {identity.scope} is for another audience than the DeveloperAPI's, which refuses its "
                "tokens with 403",
                DRAWBACK,
                f"leave scope out, or write {PROVIDER_MANAGED}",
            )


def _session(seconds: int, place: str) -> Iterator[Mistake]:
    if seconds <= SHORTEST_SESSION:
        yield Mistake(
            f"{place}: sessions of {seconds} s never leave the 900 s margin of the Python, Java, Node, PHP and C# "
            "SDKs: each of their calls fetches credentials again; 3600 is the default",
            DRAWBACK,
            "set durationSeconds to 3600, and the role's MaxSessionDuration to at least that",
        )
    elif lead(seconds) < QUIET_ABOVE:
        yield Mistake(
            f"{place}: sessions of {seconds} s are replaced with {lead(seconds):.0f} s left; clients with a margin of "
            f"up to {QUIET_ABOVE:.0f} s fetch credentials more often; 3600 avoids that",
            DRAWBACK,
            "set durationSeconds to 3600, and the role's MaxSessionDuration to at least that",
        )
