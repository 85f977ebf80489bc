"""Whether checked types make a configuration that can work, and whether what it names is there. No network."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence

from ..core import addresses
from ..core.base import Connection
from ..core.model import ConfigError
from ..core.schedule import Schedule
from ..exchange import validate as check_exchange
from ..exchange.validate import IdaasInstance
from ..identity import validate as check_identity
from ..identity.settings import IdaasIdentity, OidcClientIdentity, instance_of
from ..system import files
from ..upstream.tls import Trust, client_certificate
from . import secret_refs
from .convert import join
from .settings import VALUE_NAME, Access, Cache, Metadata, PathToken, Profile, Refresh, Server, Settings

LARGEST_BUNDLE = 16_777_216
"""Bytes of a CA bundle; the whole of Mozilla's is a quarter of a mebibyte."""

LONGEST_VALUE_NAME = 128
DOCUMENT_NEEDS = ("instance-id", "owner-account-id", "region-id")
"""Without these an identity document says nothing; LoongCollector also reads zone-id, vpc-id and vswitch-id."""

LONGEST_SOCKET_NAME = 107
"""Bytes: `sun_path` of a unix socket's address."""


def settings(whole: Settings) -> None:
    """Raises ConfigError at the first value that cannot work. Pure."""
    for name, profile in whole.profiles.items():
        place = f"profiles.{name}"
        check_identity.settings(profile.identity, f"{place}.identity")
        instance = IdaasInstance(*instance_of(profile.identity))
        check_exchange.settings(profile.exchange, instance, f"{place}.exchange")
        check_identity.check_proxy(profile.exchange.connection, f"{place}.exchange.connection")
        for index, link in enumerate(profile.chain):
            check_exchange.link(link, profile.exchange, f"{place}.chain[{index}]")
            if link.connection is not None:
                check_identity.check_proxy(link.connection, f"{place}.chain[{index}].connection")
        _not_ourselves(profile, place, whole.server)
        if profile.callers is not None and not (profile.callers.uids or profile.callers.gids):
            raise ConfigError(f"{place}.callers: names nobody; list uids or gids, or leave it out for everybody")
    _credential_files(whole.profiles)
    _listeners(whole.server, whole.access)
    _admin_socket(whole.server.admin_socket)
    _hosts(whole.access.allowed_hosts)
    _metadata(whole.metadata)
    _cache(whole.cache)
    schedule(whole.refresh)
    if whole.proxy is not None:
        addresses.check_proxy(whole.proxy, "proxy")


def named(whole: Settings, environ: Mapping[str, str]) -> None:
    """Raises ConfigError unless what is named is there: variables, files, the environment's proxies."""
    for name, profile in whole.profiles.items():
        place = f"profiles.{name}"
        check_identity.named(profile.identity, f"{place}.identity", environ)
        for url in _urls(profile, place):
            proxy = addresses.proxy_for(url, whole.proxy, environ)
            if proxy is not None:
                addresses.check_proxy(proxy, "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY")
        for connection, where in _connections(profile, place):
            _connection(connection, where, environ)
    if isinstance(whole.access.path_token, PathToken):
        secret_refs.path_token(whole.access.path_token, environ)()
    if whole.tls.ca_file is not None:
        _bundle(whole.tls.ca_file, "tls.caFile")
    if whole.cache.directory is not None:
        secret_refs.cache_key(whole.cache, environ)()


def schedule(refresh: Refresh) -> Schedule:
    """The refresh section as arithmetic. Raises ConfigError for a pace that contradicts itself."""
    return Schedule(
        jitter=refresh.jitter,
        min_retry=refresh.min_retry_seconds,
        max_retry=refresh.max_retry_seconds,
        permanent_retry=refresh.permanent_retry_seconds,
    )


def _urls(profile: Profile, place: str) -> Iterator[str]:
    """What the profile will talk to."""
    yield from check_identity.urls(profile.identity)
    yield from check_exchange.urls(profile.exchange, IdaasInstance(*instance_of(profile.identity)), f"{place}.exchange")
    for index, link in enumerate(profile.chain):
        yield from check_exchange.link_endpoints(link, profile.exchange, f"{place}.chain[{index}]")


def _connections(profile: Profile, place: str) -> Iterator[tuple[Connection, str]]:
    """How the profile's legs reach their servers, where that is configured."""
    for identity, where in check_identity.parts(profile.identity, f"{place}.identity"):
        if isinstance(identity, IdaasIdentity | OidcClientIdentity):
            yield identity.connection, f"{where}.connection"
    yield profile.exchange.connection, f"{place}.exchange.connection"
    for index, link in enumerate(profile.chain):
        if link.connection is not None:
            yield link.connection, f"{place}.chain[{index}].connection"


def _connection(connection: Connection, place: str, environ: Mapping[str, str]) -> None:
    if connection.ca_file is not None:
        _bundle(connection.ca_file, f"{place}.caFile")
    client = client_certificate(connection, place, environ)
    if client is not None:
        # Without the CA, which is parsed when the first call needs it; the certificate and its key must fit now.
        Trust(None, "", {}, verify=False, client=client).context()


def _not_ourselves(profile: Profile, place: str, server: Server) -> None:
    """The metadata service that we ask must not be the one that we are."""
    for identity, where in check_identity.parts(profile.identity, f"{place}.identity"):
        url = check_identity.metadata_endpoint(identity)
        asked = addresses.http_authority(url, where) if url else None
        for key, address in (("bind", server.bind), ("metadata", server.metadata)):
            if asked and address and addresses.overlap(asked, addresses.listen_address(address, f"server.{key}")):
                raise ConfigError(
                    f"{where}.authnConfiguration: would ask {url}, where server.{key} makes ourselves listen; "
                    "leave server.metadata out, or use a method without the metadata service"
                )


def _credential_files(profiles: Mapping[str, Profile]) -> None:
    taken: dict[str, str] = {}
    for name, profile in profiles.items():
        for index, file in enumerate(profile.files):
            place = f"profiles.{name}.files[{index}].path"
            if not os.path.isabs(file.path):
                raise ConfigError(f"{place}: {file.path!r} is no absolute path")
            other = taken.setdefault(os.path.normpath(file.path), place)
            if other != place:
                raise ConfigError(f"{place}: {file.path} is written by {other} already; choose another file")


def _bundle(path: str, place: str) -> None:
    """Raises ConfigError unless there are certificates in the file; they are parsed when the first call needs them."""
    try:
        raw = files.read(path, LARGEST_BUNDLE)
    except files.Unreadable as why:
        raise ConfigError(f"{place}: {path}: {why}") from None
    if b"-----BEGIN " not in raw or b"CERTIFICATE-----" not in raw:
        raise ConfigError(f"{place}: {path}: holds no PEM certificate (-----BEGIN CERTIFICATE-----)")


def _listeners(server: Server, access: Access) -> None:
    taken: dict[str, tuple[str, int]] = {}
    for key, address in (("bind", server.bind), ("metadata", server.metadata), ("ops", server.ops)):
        if address is None:
            continue
        host, port = addresses.listen_address(address, f"server.{key}")
        if key != "ops" and not addresses.is_private(host) and not access.unsafe_bind:
            raise ConfigError(
                f"server.{key}: {address} is reachable from other machines; use 127.0.0.1, or set access.unsafeBind"
            )
        for other, its in taken.items():
            if addresses.overlap((host, port), its):
                raise ConfigError(f"server.{key}: {address} is taken by server.{other}; choose another port")
        taken[key] = host, port
    if access.path_token and server.metadata and access.metadata_tokens != "required":
        raise ConfigError(
            "server.metadata: its clients cannot send access.pathToken; set access.metadataTokens to required, "
            "or leave one of the two out"
        )


def _admin_socket(path: str | None) -> None:
    name = path.encode() if path is not None else b"/"
    if not name.startswith((b"/", b"@")) or len(name) > LONGEST_SOCKET_NAME or b"\0" in name:
        raise ConfigError(
            f"server.adminSocket: {path!r} is neither an absolute path nor @name of at most {LONGEST_SOCKET_NAME} bytes"
        )


def _metadata(metadata: Metadata) -> None:
    for name, value in metadata.values.items():
        place = join("metadata.values", name)
        if not re.fullmatch(VALUE_NAME, name) or len(name) > LONGEST_VALUE_NAME:
            raise ConfigError(f"{place}: no name below /latest/meta-data/; it reads region-id or network/interfaces/…")
        if name.split("/")[0] == "ram":
            raise ConfigError(f"{place}: what begins with ram is the role's, which the profiles answer")
        if not re.fullmatch(r"[ -~]{1,1024}", value) or value != value.strip():
            raise ConfigError(f"{place}: must be 1 to 1024 printable ASCII characters without space at an end")
    lacking = [name for name in DOCUMENT_NEEDS if name not in metadata.values]
    if metadata.identity_document and lacking:
        raise ConfigError(f"metadata.identityDocument: needs metadata.values.{' and '.join(lacking)}")


def _cache(cache: Cache) -> None:
    if cache.directory is None:
        if cache.key_file or cache.key_env_var_name:
            raise ConfigError("cache.directory: required with a key; leave the key out if there is to be no cache")
        return
    if not os.path.isabs(os.path.expanduser(cache.directory)):
        raise ConfigError(f"cache.directory: {cache.directory!r} is no absolute path")
    # As both are called, and as they are: a link that leads into the directory is a key beside the data, too.
    if cache.key_file and any(
        way(os.path.expanduser(cache.key_file)).startswith(f"{way(os.path.expanduser(cache.directory))}/")
        for way in (os.path.abspath, os.path.realpath)
    ):
        raise ConfigError("cache.keyFile: lies in cache.directory; who reads the one would read the other")


def _hosts(hosts: Sequence[str]) -> None:
    if not hosts:
        raise ConfigError("access.allowedHosts: empty, so nobody would get an answer; name the hosts clients ask for")
    for index, host in enumerate(hosts):
        if not addresses.is_host(host):
            raise ConfigError(
                f"access.allowedHosts[{index}]: {host!r} is no host; write it without port or path, IPv6 as [::1]"
            )
