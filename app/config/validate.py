"""Checks a whole configuration for values that contradict each other, and for names of things that do not exist.

Every check is a function that raises ConfigError; the loader runs all of them, so that one run reports all mistakes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial

from ..core import addresses, proxies, urls
from ..core.connection import Connection
from ..core.errors import ConfigError, NotThereYet
from ..core.schedule import Schedule
from ..exchange import validate as exchange_checks
from ..exchange.validate import IdaasInstance
from ..identity import identities
from ..system import files
from ..upstream.tls import Trust, client_certificate
from . import secret_refs
from .decode import join
from .settings import VALUE_NAME, Access, Cache, Metadata, PathToken, Profile, Refresh, Server, Settings

Check = Callable[[], object]

LARGEST_BUNDLE = 16_777_216
"""The most bytes of a CA bundle. Mozilla's whole bundle has a quarter of a mebibyte."""

LONGEST_VALUE_NAME = 128
DOCUMENT_NEEDS = ("instance-id", "owner-account-id", "region-id")
"""The values without which an identity document is useless. LoongCollector also reads zone-id, vpc-id, vswitch-id."""

LONGEST_SOCKET_NAME = 107
"""The most bytes of a unix socket's path: the size of `sun_path` in its address."""


def checks(settings: Settings) -> Iterator[Check]:
    """Yield the checks of values that contradict each other or cannot work. Pure."""
    for name, profile in settings.profiles.items():
        yield from _profile(profile, f"profiles.{name}", settings.server)
    yield partial(_credential_files, settings.profiles)
    yield partial(_listeners, settings.server, settings.access)
    yield partial(_admin_socket, settings.server.admin_socket)
    yield partial(_hosts, settings.access.allowed_hosts)
    yield partial(_metadata, settings.metadata)
    yield partial(_cache, settings.cache)
    yield partial(schedule, settings.refresh)
    if settings.proxy is not None:
        yield partial(proxies.check_proxy, settings.proxy, "proxy")


def check(settings: Settings) -> None:
    """Raise ConfigError at the first value that cannot work."""
    for found in checks(settings):
        found()


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
        place = f"profiles.{name}"
        for identity, where in identities.parts(profile.identity, f"{place}.identity"):
            yield partial(identities.read_one, identity, where, environ)
        yield partial(_environment_proxies, profile, place, settings.proxy, environ)
        for connection, where in _connections(profile, place):
            yield partial(_connection, connection, where, environ)
    if settings.tls.ca_file is not None and unchecked != settings.profiles.keys():  # every profile needs this file
        yield partial(_bundle, settings.tls.ca_file, "tls.caFile")


def token_checks(settings: Settings, environ: Mapping[str, str], unchecked: Collection[str] = ()) -> Iterator[Check]:
    """
    Yield the checks of the tokens that the profiles read. The checks raise NotThereYet for an unusable file.

    `unchecked`: profiles that need files which do not answer.
    """
    for name, profile in settings.profiles.items():
        if name in unchecked:
            continue
        for identity, where in identities.parts(profile.identity, f"profiles.{name}.identity"):
            yield partial(identities.read_token, identity, where, environ)


def start_checks(settings: Settings, environ: Mapping[str, str]) -> Iterator[Check]:
    """Yield the checks of the secrets without which no listener opens."""
    if isinstance(settings.access.path_token, PathToken):
        yield lambda token=settings.access.path_token: secret_refs.path_token(token, environ)()  # type: ignore[misc]
    if settings.cache.directory is not None:
        yield lambda: secret_refs.cache_key(settings.cache, environ)()


def schedule(refresh: Refresh) -> Schedule:
    """Return the refresh section as a schedule. Raises ConfigError for a pace that contradicts itself."""
    return Schedule(
        jitter=refresh.jitter,
        min_retry=refresh.min_retry_seconds,
        max_retry=refresh.max_retry_seconds,
        permanent_retry=refresh.permanent_retry_seconds,
    )


# --- profiles ---------------------------------------------------------------------------------------------------------


def _profile(profile: Profile, place: str, server: Server) -> Iterator[Check]:
    yield partial(identities.check, profile.identity, f"{place}.identity")
    instance = IdaasInstance(*identities.instance_of(profile.identity))
    yield partial(exchange_checks.settings, profile.exchange, instance, f"{place}.exchange")
    yield partial(identities.check_proxy, profile.exchange.connection, f"{place}.exchange.connection")
    for index, role in enumerate(profile.chain):
        where = f"{place}.chain[{index}]"
        yield partial(exchange_checks.role, role, profile.exchange, where)
        if role.connection is not None:
            yield partial(identities.check_proxy, role.connection, f"{where}.connection")
    yield partial(_other_metadata_service, profile, place, server)
    yield partial(_callers, profile, place)


def _callers(profile: Profile, place: str) -> None:
    if profile.callers is not None and not (profile.callers.uids or profile.callers.gids):
        raise ConfigError(
            f"{place}.callers: empty",
            cure="list uids or gids, or leave the key out to serve every caller",
            error_code="IDS-105",
        )


def _other_metadata_service(profile: Profile, place: str, server: Server) -> None:
    """Raise ConfigError if the metadata service that an identity asks is this sidecar's own listener."""
    for identity, where in identities.parts(profile.identity, f"{place}.identity"):
        url = identities.metadata_endpoint(identity)
        asked = urls.http_authority(url, where) if url else None
        for key, address in (("bind", server.bind), ("metadata", server.metadata)):
            if asked and address and addresses.overlap(asked, addresses.listen_address(address, f"server.{key}")):
                raise ConfigError(
                    f"{where}.authnConfiguration: would ask {url}, where this sidecar listens itself (server.{key})",
                    cure="leave server.metadata out, or use a method without the metadata service",
                    error_code="IDS-326",
                )


def _environment_proxies(profile: Profile, place: str, proxy: str | None, environ: Mapping[str, str]) -> None:
    for url in urls_of(profile, place):
        found = proxies.proxy_for(url, proxy, environ)
        if found is not None:
            proxies.check_proxy(found, "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY")


def urls_of(profile: Profile, place: str) -> Iterator[str]:
    """Yield the URLs that the profile contacts, as far as they are known without a request."""
    yield from identities.urls(profile.identity, f"{place}.identity")
    instance = IdaasInstance(*identities.instance_of(profile.identity))
    yield from exchange_checks.urls(profile.exchange, instance, f"{place}.exchange")
    for index, role in enumerate(profile.chain):
        yield from exchange_checks.chained_endpoints(role, profile.exchange, f"{place}.chain[{index}]")


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


def _connection(connection: Connection, place: str, environ: Mapping[str, str]) -> None:
    if connection.ca_file is not None:
        _bundle(connection.ca_file, f"{place}.caFile")
    client = client_certificate(connection, place, environ)
    if client is not None:
        # The CA is parsed at the first request, but the certificate and its key must fit now.
        Trust(None, "", {}, verify=False, client=client).context()


def _credential_files(profiles: Mapping[str, Profile]) -> None:
    taken: dict[str, str] = {}
    for name, profile in profiles.items():
        for index, file in enumerate(profile.files):
            place = f"profiles.{name}.files[{index}].path"
            if not os.path.isabs(file.path):
                raise ConfigError(f"{place}: {file.path!r} is not an absolute path", error_code="IDS-105")
            other = taken.setdefault(os.path.normpath(file.path), place)
            if other != place:
                raise ConfigError(
                    f"{place}: {file.path} is already written by {other}",
                    cure="choose another file",
                    error_code="IDS-113",
                )


def _bundle(path: str, place: str) -> None:
    """Raise ConfigError unless the file holds certificates. The first request parses them."""
    try:
        raw = files.read(path, LARGEST_BUNDLE)
    except files.Absent as why:
        raise NotThereYet(why.at(f"{place}: {path}")) from None
    except files.Unreadable as why:
        raise ConfigError(why.at(f"{place}: {path}"), error_code="IDS-115") from None
    if b"-----BEGIN " not in raw or b"CERTIFICATE-----" not in raw:
        raise ConfigError(
            f"{place}: {path}: holds no PEM certificate (-----BEGIN CERTIFICATE-----)", error_code="IDS-115"
        )


# --- the other sections -----------------------------------------------------------------------------------------------


def _listeners(server: Server, access: Access) -> None:
    taken: dict[str, tuple[str, int]] = {}
    for key, address in (("bind", server.bind), ("metadata", server.metadata), ("ops", server.ops)):
        if address is None:
            continue
        host, port = addresses.listen_address(address, f"server.{key}")
        if key != "ops" and not addresses.is_private(host) and not access.unsafe_bind:
            raise ConfigError(
                f"server.{key}: {address} is reachable from other machines",
                cure="use 127.0.0.1, or set access.unsafeBind",
                error_code="IDS-121",
            )
        for other, its in taken.items():
            if addresses.overlap((host, port), its):
                raise ConfigError(
                    f"server.{key}: {address} is taken by server.{other}",
                    cure="choose another port",
                    error_code="IDS-121",
                )
        taken[key] = host, port
    if access.path_token and server.metadata and access.metadata_tokens != "required":
        raise ConfigError(
            "server.metadata: its clients cannot send access.pathToken",
            cure="set access.metadataTokens to required, or leave one of the two out",
            error_code="IDS-113",
        )


def _admin_socket(path: str | None) -> None:
    name = path.encode() if path is not None else b"/"
    if not name.startswith((b"/", b"@")) or len(name) > LONGEST_SOCKET_NAME or b"\0" in name:
        raise ConfigError(
            f"server.adminSocket: {path!r} is neither an absolute path nor @name of at most {LONGEST_SOCKET_NAME} "
            "bytes",
            cure="write an absolute path, such as /run/idaas-sidecar/admin.sock",
            error_code="IDS-121",
        )


def _metadata(metadata: Metadata) -> None:
    for name, value in metadata.values.items():
        place = join("metadata.values", name)
        if not re.fullmatch(VALUE_NAME, name) or len(name) > LONGEST_VALUE_NAME:
            raise ConfigError(
                f"{place}: not a name below /latest/meta-data/, such as region-id or network/interfaces/…",
                error_code="IDS-105",
            )
        if name.split("/")[0] == "ram":
            raise ConfigError(
                f"{place}: names that begin with ram belong to the role, which the profiles answer",
                error_code="IDS-105",
            )
        if not re.fullmatch(r"[ -~]{1,1024}", value) or value != value.strip():
            raise ConfigError(
                f"{place}: must be 1 to 1024 printable ASCII characters without space at an end", error_code="IDS-105"
            )
    lacking = [name for name in DOCUMENT_NEEDS if name not in metadata.values]
    if metadata.identity_document and lacking:
        raise ConfigError(
            f"metadata.identityDocument: needs metadata.values.{' and '.join(lacking)}", error_code="IDS-106"
        )


def _cache(cache: Cache) -> None:
    if cache.directory is None:
        if cache.key_file or cache.key_env_var_name:
            raise ConfigError(
                "cache.directory: required with a key", cure="leave the key out for no cache", error_code="IDS-106"
            )
        return
    if not os.path.isabs(os.path.expanduser(cache.directory)):
        raise ConfigError(f"cache.directory: {cache.directory!r} is not an absolute path", error_code="IDS-105")
    # Compared by name and by real path, because a link into the directory also puts the key beside the data.
    if cache.key_file and any(
        way(os.path.expanduser(cache.key_file)).startswith(f"{way(os.path.expanduser(cache.directory))}/")
        for way in (os.path.abspath, os.path.realpath)
    ):
        raise ConfigError(
            "cache.keyFile: lies in cache.directory, so a reader of one would read the other",
            cure="move the key file elsewhere",
            error_code="IDS-113",
        )


def _hosts(hosts: Sequence[str]) -> None:
    if not hosts:
        raise ConfigError(
            "access.allowedHosts: empty, so no client would be served",
            cure="name the hosts of the clients' URLs",
            error_code="IDS-105",
        )
    for index, host in enumerate(hosts):
        if not addresses.is_host(host):
            raise ConfigError(
                f"access.allowedHosts[{index}]: {host!r} is not a host",
                cure="write the host without port or path, IPv6 as [::1]",
                error_code="IDS-105",
            )
