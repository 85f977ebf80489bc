"""Limits the number of concurrent fetches, separately for each set of servers.

A hundred concurrent fetches leave 10 KiB of memory per profile behind, and STS counts the requests of an account. So
most fetches wait for a place. The places belong to servers and to directories of files: a server or directory that
hangs delays only the profiles that need it.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from ..config.settings import Settings
from ..config.validate import urls_of
from ..config.watched_files import named_files
from ..core.urls import server_of
from ..identity import identities
from ..identity.command import CommandIdentity

AT_ONCE = 2
"""Places for concurrent fetches from the same servers. Fetches from other servers never take these places."""

TURN_SECONDS = 1.0
"""Seconds of waiting after which a fetch may take a further place, because a server is slow or hangs."""

MOST_AT_ONCE = 32
"""The most concurrent fetches from the same servers, even if they hang."""

FURTHER_PLACES = 60
"""Further places for all servers together. This limit bounds the memory when several servers hang."""

MOST_OF_ALL = 400
"""The most concurrent fetches. A fetch that hangs takes 50 KiB, and the memory limit of the manifests is 64 MiB."""


@dataclass(slots=True)
class _Queue:
    """The fetches from the same servers: the number under way, and the waiting ones with their time of arrival."""

    under_way: int = 0
    waiting: deque[tuple[float, asyncio.Future[None]]] = field(default_factory=deque)


class Places:
    """The places of all fetches in one event loop."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, _Queue] = {}
        self._further = 0
        self._under_way = 0

    @asynccontextmanager
    async def at(self, servers: Hashable) -> AsyncIterator[None]:
        """Hold a place for a fetch from `servers` during the block. Places are given in the order of arrival."""
        queue = self._queues.setdefault(servers, _Queue())
        granted = asyncio.get_running_loop().create_future()
        entry = (_now(), granted)
        queue.waiting.append(entry)
        self._grant(queue)
        try:
            if not granted.done():
                await asyncio.wait([granted], timeout=TURN_SECONDS)
                self._grant(queue)
            await asyncio.wait([granted])
            yield
        finally:
            if granted.done():
                self._further -= queue.under_way > AT_ONCE
                queue.under_way -= 1
                self._under_way -= 1
            else:
                queue.waiting.remove(entry)
            self._released(servers, queue)

    def _released(self, servers: Hashable, queue: _Queue) -> None:
        self._grant(queue)
        for other in self._queues.values():  # any queue may use a further place
            self._grant(other)
        if not queue.under_way and not queue.waiting:
            self._queues.pop(servers, None)

    def _grant(self, queue: _Queue) -> None:
        """Give places to the waiting fetches, in the order of their arrival."""
        while queue.waiting and self._has_place(queue, queue.waiting[0][0]):
            self._further += queue.under_way >= AT_ONCE
            queue.under_way += 1
            self._under_way += 1
            queue.waiting.popleft()[1].set_result(None)

    def _has_place(self, queue: _Queue, since: float) -> bool:
        if self._under_way >= MOST_OF_ALL:
            return False
        if queue.under_way < AT_ONCE:
            return True
        patient = _now() - since >= TURN_SECONDS
        return patient and queue.under_way < MOST_AT_ONCE and self._further < FURTHER_PLACES


def servers_of(settings: Settings, directory: Callable[[str], str] = os.path.dirname) -> dict[str, Hashable]:
    """
    Return each profile's dependencies: hosts with ports, executables that print a token, directories of its files.

    `directory` returns the directory of a file.
    """
    found: dict[tuple[str, ...], tuple[str, ...]] = {}  # profiles with the same servers share one tuple
    servers: dict[str, Hashable] = {}
    for name, profile in settings.profiles.items():
        place = f"profiles.{name}"
        hosts = [server_of(url) for url in urls_of(profile, place)]
        parts = [part for part, _ in identities.parts(profile.identity, place)]
        executables = [part.command[0] for part in parts if isinstance(part, CommandIdentity)]
        # Directories, not files: with one file per profile, all profiles of a server would fetch at once.
        directories = {directory(path) for path, _ in named_files(profile)}
        key = (*hosts, *executables, *sorted(directories))
        servers[name] = found.setdefault(key, key)
    return servers


def _now() -> float:
    return asyncio.get_running_loop().time()
