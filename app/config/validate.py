"""Checks a whole configuration for values that contradict each other, and for names of things that do not exist.

Each check is about one value. The loader runs all of them, so that one run reports all mistakes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial

from ..core import addresses, proxies, urls
from ..core.checks import Check, check, fails, key_paths, profile_place, require
from ..core.connection import Connection
from ..core.errors import ConfigError, Mistake
from ..core.values import Secret
from ..exchange import validate as exchange_checks
from ..exchange.validate import IdaasInstance
from ..identity import identities
from ..upstream.connections.tls import Trust
from ..upstream.keys import ca_bundle
from ..upstream.keys.client_certificate import client_certificate
from . import secret_refs, section_checks
from .settings import PathToken, Profile, Server, Settings


def checks(settings: Settings) -> Iterator[Check]:
    """Yield the checks of values that contradict each other or cannot work. Pure."""
    for name, profile in settings.profiles.items():
        yield from _profile(profile, profile_place(name), settings.server)
    yield from _credential_files(settings.profiles)
    yield from section_checks.checks(settings)
    for read, keys in _start_secrets(settings):
        yield check(read, {}, needs=keys)
    if settings.proxy is not None:
        yield check(proxies.check_proxy, settings.proxy, "proxy")


def require_valid(settings: Settings) -> None:
    """Raise ConfigError with a line for each value that cannot work."""
    require(checks(settings))


def existence_checks(
    settings: Settings, environ: Mapping[str, str], unchecked: Collection[str] = ()
) -> Iterator[Check]:
    """
    Yield the checks that the variables and files of the profiles exist, and that the environment's proxies are valid.

    The checks raise NotThereYet for a file that may still be written. `unchecked`: profiles that need files which do
    not answer.
    """
    for name, profile in settings.profiles.items():
        if name in unchecked:
            continue
        place = profile_place(name)
        for identity, where in identities.parts(profile.identity, f"{place}.identity"):
            yield from identities.read_checks(identity, where, environ)
        yield check(_environment_proxies, profile, place, settings.proxy, environ, needs=("proxy",))
        for connection, where in _connections(profile, place):
            yield from _connection(connection, where, environ)
    if settings.tls.ca_file is not None and unchecked != settings.profiles.keys():  # every profile needs this file
        yield check(ca_bundle.require, settings.tls.ca_file, "tls.caFile")


def token_checks(settings: Settings, environ: Mapping[str, str], unchecked: Collection[str] = ()) -> Iterator[Check]:
    """
    Yield the checks of the tokens that the profiles read. The checks raise NotThereYet for an unusable file.

    `unchecked`: profiles that need files which do not answer.
    """
    for name, profile in settings.profiles.items():
        if name in unchecked:
            continue
        for identity, where in identities.parts(profile.identity, f"{profile_place(name)}.identity"):
            yield from identities.token_checks(identity, where, environ)


def start_checks(settings: Settings, environ: Mapping[str, str]) -> Iterator[Check]:
    """Yield the checks of the secrets without which no listener opens."""
    for read, keys in _start_secrets(settings):
        yield check(lambda read=read: read(environ)(), needs=keys)


def _start_secrets(settings: Settings) -> Iterator[tuple[Callable[[Mapping[str, str]], Secret], tuple[str, ...]]]:
    """Yield the functions that return the readers of these secrets, each with the places of its keys."""
    token, cache = settings.access.path_token, settings.cache
    if isinstance(token, PathToken):
        yield partial(secret_refs.path_token, token), key_paths("access.pathToken", "file", "envVarName")
    if cache.directory is not None:
        yield partial(secret_refs.cache_key, cache), key_paths("cache", "keyFile", "keyEnvVarName")


# --- profiles ---------------------------------------------------------------------------------------------------------


def _profile(profile: Profile, place: str, server: Server) -> Iterator[Check]:
    yield from identities.checks(profile.identity, f"{place}.identity")
    instance = IdaasInstance(*identities.instance_of(profile.identity), f"{place}.identity")
    yield from exchange_checks.checks(profile.exchange, instance, f"{place}.exchange")
    yield check(identities.check_proxy, profile.exchange.connection, f"{place}.exchange.connection")
    for index, role in enumerate(profile.chain):
        where = f"{place}.chain[{index}]"
        yield from exchange_checks.role_checks(role, profile.exchange, where, f"{place}.exchange")
        if role.connection is not None:
            yield check(identities.check_proxy, role.connection, f"{where}.connection")
    for connection, where in _connections(profile, place):
        yield check(client_certificate, connection, where, {}, needs=_certificate_places(where))
    yield from _other_metadata_service(profile, place, server)
    if profile.callers is not None and not (profile.callers.uids or profile.callers.gids):
        cure = "list uids or gids, or leave the key out to serve every caller"
        needs = key_paths(f"{place}.callers", "uids", "gids")
        yield fails(Mistake(f"{place}.callers: empty", "IDS-105", cure), *needs)


def _other_metadata_service(profile: Profile, place: str, server: Server) -> Iterator[Check]:
    """Yield the checks that an identity's metadata service is not this sidecar's own listener."""
    for identity, where in identities.parts(profile.identity, f"{place}.identity"):
        url = identities.metadata_endpoint(identity)
        for key, address in (("bind", server.bind), ("metadata", server.metadata)):
            if url and address:
                asked = f"{where}.authnConfiguration.ecsMetadataEndpoint"
                listener = f"server.{key}"
                yield check(_not_ours, url, where, address, listener, needs=(asked, listener))


def _not_ours(url: str, where: str, address: str, listener: str) -> None:
    """Raise ConfigError where the metadata service at `url` is the listener at `address`."""
    asked = urls.http_authority(url, where)
    if asked and addresses.overlap(asked, addresses.listen_address(address, listener)):
        raise ConfigError(
            f"{where}.authnConfiguration: would ask {url}, where this sidecar listens itself ({listener})",
            cure="leave server.metadata out, or use a method without the metadata service",
            error_code="IDS-326",
        )


def _environment_proxies(profile: Profile, place: str, proxy: str | None, environ: Mapping[str, str]) -> None:
    """Raise ConfigError if a request would go through a proxy of the environment that cannot be used."""
    if proxy is not None:
        return
    known: list[tuple[str, Connection]] = []
    with contextlib.suppress(ConfigError):  # a URL that cannot work is a mistake of its own
        known.extend(_requests(profile, place))
    for url, connection in known:
        if not urls.is_readable(url):
            continue
        found = proxies.proxy_for(url, connection.proxy, environ)
        if connection.proxy is None and found is not None:
            proxies.check_proxy(found, proxies.proxy_variable(url, environ) or "")


def urls_of(profile: Profile, place: str) -> Iterator[str]:
    """Yield the URLs that the profile contacts, as far as they are known beforehand. Raises ConfigError."""
    for url, _ in _requests(profile, place):
        yield url


def _requests(profile: Profile, place: str) -> Iterator[tuple[str, Connection]]:
    """Yield the URLs of `urls_of`, each with the connection that its requests use."""
    for identity, where in identities.parts(profile.identity, f"{place}.identity"):
        own = identities.own_url(identity, where)
        if own is not None:
            yield own, identities.connection_of(identity) or Connection()
    instance = IdaasInstance(*identities.instance_of(profile.identity), f"{place}.identity")
    exchange = profile.exchange
    for url in exchange_checks.urls(exchange, instance, f"{place}.exchange"):
        yield url, exchange.connection
    for index, role in enumerate(profile.chain):
        for url in exchange_checks.chained_endpoints(role, exchange, f"{place}.chain[{index}]"):
            yield url, role.connection or exchange.connection


def _connections(profile: Profile, place: str) -> Iterator[tuple[Connection, str]]:
    """Yield the configured connections of the profile, each with its key path."""
    for identity, where in identities.parts(profile.identity, f"{place}.identity"):
        connection = identities.connection_of(identity)
        if connection is not None:
            yield connection, f"{where}.connection"
    yield profile.exchange.connection, f"{place}.exchange.connection"
    for index, role in enumerate(profile.chain):
        if role.connection is not None:
            yield role.connection, f"{place}.chain[{index}].connection"


def _connection(connection: Connection, place: str, environ: Mapping[str, str]) -> Iterator[Check]:
    if connection.ca_file is not None:
        yield check(ca_bundle.require, connection.ca_file, f"{place}.caFile")
    yield check(_client_certificate, connection, place, environ, needs=_certificate_places(place))


def _certificate_places(place: str) -> tuple[str, ...]:
    return key_paths(place, "certificateFile", "privateKeyFile", "privateKeyPasswordEnvVarName")


def _client_certificate(connection: Connection, place: str, environ: Mapping[str, str]) -> None:
    client = client_certificate(connection, place, environ)
    if client is not None:
        # The CA is parsed at the first request, but the certificate and its key must fit now.
        Trust(None, "", {}, verify=False, client=client).context()


def _credential_files(profiles: Mapping[str, Profile]) -> Iterator[Check]:
    taken: dict[str, str] = {}
    for name, profile in profiles.items():
        for index, file in enumerate(profile.files):
            place = f"{profile_place(name)}.files[{index}].path"
            if not os.path.isabs(file.path):
                yield fails(Mistake(f"{place}: {file.path!r} is not an absolute path", "IDS-105"))
                continue
            other = taken.setdefault(os.path.normpath(file.path), place)
            if other != place:
                cause = f"{place}: {file.path} is already written by {other}"
                yield fails(Mistake(cause, "IDS-113", "choose another file"), other)
