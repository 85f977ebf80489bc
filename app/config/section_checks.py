"""Checks of the sections of a configuration beside its profiles: listeners, access, metadata, cache and pace. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from ..core import addresses, urls
from ..core.checks import Check, check, fails, join, key_paths
from ..core.errors import ConfigError, Mistake
from ..core.schedule import Schedule
from .settings import VALUE_NAME, Access, Cache, Metadata, Refresh, Server, Settings

LONGEST_VALUE_NAME = 128

DOCUMENT_NEEDS = ("instance-id", "owner-account-id", "region-id")
"""The values without which an identity document is useless. LoongCollector also reads zone-id, vpc-id, vswitch-id."""

LONGEST_SOCKET_NAME = 107
"""The most bytes of a unix socket's path: the size of `sun_path` in its address."""


def checks(settings: Settings) -> Iterator[Check]:
    """Yield the checks of values that contradict each other or cannot work."""
    yield from _listeners(settings.server, settings.access)
    yield from _admin_socket(settings.server.admin_socket)
    yield from _hosts(settings.access.allowed_hosts)
    yield from _metadata(settings.metadata)
    yield from _cache(settings.cache)
    yield from _refresh(settings.refresh)
    collector = settings.telemetry.traces_endpoint
    if collector is not None:
        yield check(urls.check_characters, collector, "telemetry.tracesEndpoint")


def schedule(refresh: Refresh) -> Schedule:
    """Return the refresh section as a schedule. Raises ConfigError for a pace that contradicts itself."""
    return Schedule(
        jitter=refresh.jitter,
        min_retry=refresh.min_retry_seconds,
        max_retry=refresh.max_retry_seconds,
        permanent_retry=refresh.permanent_retry_seconds,
    )


def _listeners(server: Server, access: Access) -> Iterator[Check]:
    taken: dict[str, str] = {}
    for key, address in (("bind", server.bind), ("metadata", server.metadata), ("ops", server.ops)):
        if address is None:
            continue
        place = f"server.{key}"
        yield check(addresses.listen_address, address, place)
        if key != "ops" and not access.unsafe_bind:
            yield check(_reached_by_this_machine_alone, address, place, needs=(place, "access.unsafeBind"))
        for other, its in taken.items():
            yield check(_apart, address, place, its, other, needs=(place, other))
        taken[place] = address
    if access.path_token and server.metadata and access.metadata_tokens != "required":
        yield fails(
            Mistake(
                "server.metadata: its clients cannot send access.pathToken",
                "IDS-113",
                "set access.metadataTokens to required, or leave one of the two out",
            ),
            "access.metadataTokens",
        )


def _reached_by_this_machine_alone(address: str, place: str) -> None:
    host, _ = addresses.listen_address(address, place)
    if not addresses.is_private(host):
        raise ConfigError(
            f"{place}: {address} is reachable from other machines",
            cure="use 127.0.0.1, or set access.unsafeBind",
            error_code="IDS-121",
        )


def _apart(address: str, place: str, its: str, other: str) -> None:
    """Raise ConfigError where two listeners conflict."""
    if addresses.overlap(addresses.listen_address(address, place), addresses.listen_address(its, other)):
        raise ConfigError(f"{place}: {address} is taken by {other}", cure="choose another port", error_code="IDS-121")


def _admin_socket(path: str | None) -> Iterator[Check]:
    name = path.encode() if path is not None else b"/"
    if not name.startswith((b"/", b"@")) or len(name) > LONGEST_SOCKET_NAME or b"\0" in name:
        cause = f"{path!r} is neither an absolute path nor @name of at most {LONGEST_SOCKET_NAME} bytes"
        cure = "write an absolute path, such as /run/idaas-sidecar/admin.sock"
        yield fails(Mistake(f"server.adminSocket: {cause}", "IDS-121", cure))


def _metadata(metadata: Metadata) -> Iterator[Check]:
    for name, value in metadata.values.items():
        place = join("metadata.values", name)
        if not re.fullmatch(VALUE_NAME, name) or len(name) > LONGEST_VALUE_NAME:
            cause = f"{place}: not a name below /latest/meta-data/, such as region-id or network/interfaces/…"
            yield fails(Mistake(cause, "IDS-105"))
        elif name.split("/")[0] == "ram":
            cause = f"{place}: names that begin with ram belong to the role, which the profiles answer"
            yield fails(Mistake(cause, "IDS-105"))
        if not re.fullmatch(r"[ -~]{1,1024}", value) or value != value.strip():
            cause = f"{place}: must be 1 to 1024 printable ASCII characters without space at an end"
            yield fails(Mistake(cause, "IDS-105"))
    lacking = [name for name in DOCUMENT_NEEDS if name not in metadata.values]
    if metadata.identity_document and lacking:
        cause = f"metadata.identityDocument: needs metadata.values.{' and '.join(lacking)}"
        yield fails(Mistake(cause, "IDS-106"), *(join("metadata.values", name) for name in lacking))


def _cache(cache: Cache) -> Iterator[Check]:
    if cache.directory is None:
        if cache.key_file or cache.key_env_var_name:
            cure = "leave the key out for no cache"
            yield fails(Mistake("cache.directory: required with a key", "IDS-106", cure))
        return
    if not os.path.isabs(os.path.expanduser(cache.directory)):
        yield fails(Mistake(f"cache.directory: {cache.directory!r} is not an absolute path", "IDS-105"))
    # Compared by name and by real path, because a link into the directory also puts the key beside the data.
    elif cache.key_file and any(
        way(os.path.expanduser(cache.key_file)).startswith(f"{way(os.path.expanduser(cache.directory))}/")
        for way in (os.path.abspath, os.path.realpath)
    ):
        cause = "cache.keyFile: lies in cache.directory, so a reader of one would read the other"
        yield fails(Mistake(cause, "IDS-113", "move the key file elsewhere"))


def _refresh(refresh: Refresh) -> Iterator[Check]:
    """Yield a check for each rule of the schedule, which itself stops at the first that is broken."""
    least, most, permanent = key_paths("refresh", "minRetrySeconds", "maxRetrySeconds", "permanentRetrySeconds")
    longest = refresh.max_retry_seconds
    patient = replace(refresh, permanent_retry_seconds=max(refresh.permanent_retry_seconds, longest))
    yield check(schedule, patient, needs=(least, most))
    quick = replace(refresh, min_retry_seconds=min(refresh.min_retry_seconds, longest))
    yield check(schedule, quick, needs=(most, permanent))


def _hosts(hosts: Sequence[str]) -> Iterator[Check]:
    if not hosts:
        cause, cure = "access.allowedHosts: empty, so no client would be served", "name the hosts of the clients' URLs"
        yield fails(Mistake(cause, "IDS-105", cure))
    for index, host in enumerate(hosts):
        if not addresses.is_host(host):
            cure = "write the host without port or path, IPv6 as [::1]"
            yield fails(Mistake(f"access.allowedHosts[{index}]: {host!r} is not a host", "IDS-105", cure))
