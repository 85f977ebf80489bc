"""Checks whether the configured listening addresses are free, or used by the running sidecar or another program."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ..config.settings import Server
from ..core.addresses import authority, listen_address, overlap
from .finding import Finding, broken
from .target import Target

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}  # noqa: S104 - a client cannot connect to a wildcard


def reachable(host: str) -> str:
    """Return the host to which a client on this machine connects if a listener is bound to `host`."""
    return _WILDCARDS.get(host, host)


def of_program(place: str, what: str) -> Finding:
    """Return the finding for another program at a configured address or socket, which `serve` then cannot use."""
    return broken(
        "IDS-502",
        f"{place}: {what}",
        f"stop the other program (`ss -lptn` names it), or write another address into {place}",
    )


async def taken(target: Target, server: Server, status: Mapping[str, Any] | None) -> list[Finding]:
    """
    Return a finding for each TCP address of the configuration at which another program listens.

    `status`: the running sidecar's status, which names its listeners. Without a status, the program at the address is
    asked.
    """
    own = None if status is None or not status.get("listeners") else list(_listening(status["listeners"].values()))
    found = []
    for place, host, port in _configured(server):
        if own is not None and any(overlap((host, port), each) for each in own):
            continue
        if not await asyncio.to_thread(target.in_use, host, port):
            continue
        if own is None and await asyncio.to_thread(target.is_sidecar, reachable(host), port):
            continue
        found.append(of_program(place, f"another program listens on {authority(host, port)}"))
    return found


def _configured(server: Server) -> Iterator[tuple[str, str, int]]:
    for name, address in (("bind", server.bind), ("metadata", server.metadata), ("ops", server.ops)):
        if address is not None:
            host, port = listen_address(address, f"server.{name}")
            if port:
                yield f"server.{name}", host, port


def _listening(urls: Iterable[object]) -> Iterator[tuple[str, int]]:
    """Yield host and port of each URL, but nothing for the admin socket. The texts come from another program."""
    for url in urls:
        try:
            parts = urlsplit(str(url))
            host, port = parts.hostname, parts.port
        except ValueError:
            continue
        if host and port:
            yield host, port
