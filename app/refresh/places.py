"""Limits the number of concurrent fetches, separately for each set of servers.

A hundred concurrent fetches leave 10 KiB of memory per profile behind, and STS counts the requests of an account. So
most fetches wait for a place. The places belong to servers and to directories of files: a server or directory that
hangs delays only the profiles that need it.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter, deque
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

PACE_SECONDS = 0.03
"""Seconds by which each fetch waits longer than the previous one, before it may run beside others of the same servers
that ask something else. A hundred commands that hang have all begun after 4 s. A hundred that take 0.5 s have some 16
processes at the same time."""

MOST_ALONE = 100
"""The most concurrent fetches from the same servers that run beside the others, because no other asks the same. Each
may be a process of a `command`, whose memory counts towards the same limit."""

MOST_OF_ALL = 400
"""The most concurrent fetches. A fetch that hangs takes 50 KiB, and the memory limit of the manifests is 96 MiB."""


@dataclass(slots=True, eq=False)
class _Waiter:
    """A fetch that waits since an instant, and what it asks. `alone`: it got its place because no other asks that."""

    since: float
    request: Hashable
    granted: asyncio.Future[None]
    alone: bool = False


@dataclass(slots=True)
class _Queue:
    """
    The fetches from the same servers: the number under way, and the waiting ones.

    `requests`: the number under way by what they ask. `under_way` does not include those that are `alone`.
    """

    under_way: int = 0
    alone: int = 0
    waiting: deque[_Waiter] = field(default_factory=deque)
    requests: Counter[Hashable] = field(default_factory=Counter)


class Places:
    """The places of all fetches in one event loop."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, _Queue] = {}
        self._further = 0
        self._under_way = 0

    @asynccontextmanager
    async def at(self, servers: Hashable, request: Hashable = None) -> AsyncIterator[None]:
        """
        Hold a place for a fetch from `servers` during the block. Places are given in the order of arrival.

        `request`: what the fetch asks. One executable may hang with the arguments of one profile, and answer others.
        """
        queue = self._queues.setdefault(servers, _Queue())
        waiter = _Waiter(_now(), request, asyncio.get_running_loop().create_future())
        pace = PACE_SECONDS * len(queue.waiting)
        queue.waiting.append(waiter)
        self._grant(queue)
        try:
            if not waiter.granted.done():
                await asyncio.wait([waiter.granted], timeout=TURN_SECONDS)
                self._grant(queue)
            if not waiter.granted.done():
                await asyncio.wait([waiter.granted], timeout=pace)
                self._grant_alone(queue, waiter)
            await asyncio.wait([waiter.granted])
            yield
        finally:
            if waiter.granted.done():
                self._give_back(queue, waiter)
            else:
                queue.waiting.remove(waiter)
            self._released(servers, queue)

    def _give_back(self, queue: _Queue, waiter: _Waiter) -> None:
        if waiter.alone:
            queue.alone -= 1
        else:
            self._further -= queue.under_way > AT_ONCE
            queue.under_way -= 1
        queue.requests[waiter.request] -= 1
        self._under_way -= 1

    def _released(self, servers: Hashable, queue: _Queue) -> None:
        self._grant(queue)
        for other in self._queues.values():  # any queue may use a further place
            self._grant(other)
        if not queue.requests.total() and not queue.waiting:
            self._queues.pop(servers, None)

    def _grant(self, queue: _Queue) -> None:
        """Give places to the waiting fetches, in the order of their arrival."""
        while queue.waiting and self._has_place(queue, queue.waiting[0].since):
            self._further += queue.under_way >= AT_ONCE
            queue.under_way += 1
            self._begin(queue, queue.waiting.popleft())

    def _grant_alone(self, queue: _Queue, waiter: _Waiter) -> None:
        """Give a place to a fetch that has waited long enough, unless a fetch under way asks the same."""
        full = queue.alone >= MOST_ALONE or self._under_way >= MOST_OF_ALL
        if waiter.granted.done() or queue.requests[waiter.request] or full:
            return
        waiter.alone = True
        queue.alone += 1
        queue.waiting.remove(waiter)
        self._begin(queue, waiter)

    def _begin(self, queue: _Queue, waiter: _Waiter) -> None:
        queue.requests[waiter.request] += 1
        self._under_way += 1
        waiter.granted.set_result(None)

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
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}  # profiles with the same servers share one tuple
    servers: dict[str, Hashable] = {}
    for name, profile in settings.profiles.items():
        place = f"profiles.{name}"
        hosts = [server_of(url) for url in urls_of(profile, place)]
        parts = [part for part, _ in identities.parts(profile.identity, place)]
        executables = [part.command[0] for part in parts if isinstance(part, CommandIdentity)]
        # Directories, not files: with one file per profile, all profiles of a server would fetch at once.
        directories = {directory(path) for path, _ in named_files(profile)}
        key = (*hosts, *executables, *sorted(directories))
        servers[name] = shared.setdefault(key, key)
    return servers


def requests_of(settings: Settings) -> dict[str, Hashable]:
    """Return what each profile asks its servers: whole URLs, and commands with their arguments."""
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    requests: dict[str, Hashable] = {}
    for name, profile in settings.profiles.items():
        place = f"profiles.{name}"
        parts = [part for part, _ in identities.parts(profile.identity, place)]
        commands = ["\0".join(part.command) for part in parts if isinstance(part, CommandIdentity)]
        key = (*urls_of(profile, place), *commands)
        requests[name] = shared.setdefault(key, key)
    return requests


def _now() -> float:
    return asyncio.get_running_loop().time()
