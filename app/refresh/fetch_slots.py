"""Limits the number of concurrent fetches, separately for each set of servers.

A hundred concurrent fetches leave 10 KiB of memory per profile behind, and STS counts the requests of an account. So
most fetches wait for a slot. The slots belong to servers and to directories of files: a server or directory that
hangs delays only the profiles that need it.

All fetches together are limited, too. While this limit is reached, a fetch that waits for a server not known as slow
interrupts the oldest one, which begins again later. So many servers that hang do not delay a quick one for long.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from ..config.settings import Settings
from ..config.validate import urls_of
from ..config.watched_files import named_files
from ..core.checks import profile_place
from ..core.urls import server_of
from ..identity import identities
from ..identity.command import CommandIdentity

T = TypeVar("T")

AT_ONCE = 2
"""Slots for concurrent fetches from the same servers. Fetches from other servers never take these slots."""

TURN_SECONDS = 1.0
"""Seconds of waiting after which a fetch may take a further slot, because a server is slow or hangs."""

MOST_AT_ONCE = 32
"""The most concurrent fetches from the same servers, even if they hang."""

FURTHER_SLOTS = 60
"""Further slots for all servers together. This limit bounds the memory when several servers hang."""

PACE_SECONDS = 0.03
"""Seconds by which each fetch waits longer than the previous one, before it may run beside others of the same servers
that send other requests. A hundred commands that hang have all begun after 4 s. A hundred that take 0.5 s have some 16
processes at the same time."""

MOST_ALONE = 100
"""The most concurrent fetches from the same servers that run in addition to the others, because no other fetch sends
the same request. Each may be a process of a `command`, whose memory counts towards the same limit."""

MOST_OF_ALL = 400
"""The most concurrent fetches. A fetch that hangs takes 50 KiB, and the memory limit of the manifests is 96 MiB."""

SLICE_SECONDS = 2.0
"""Seconds after which a fetch may be interrupted, if all slots are taken and a server not known as slow needs one. A
cloud that works answers all requests of a fetch within a second."""

MOST_SLOW = 2_048
"""The most servers that are remembered as slow: more than a configuration has."""


@dataclass(slots=True, eq=False)
class _Waiter:
    """
    A fetch that waits for a slot or has one. `since`: when it began to wait. `request`: what it sends.

    `alone`: it got its slot because no other fetch sends the same request. `begun`: when it got its slot. `limit`:
    the timeout that interrupts it. `over`: it has given its slot back.
    """

    since: float
    servers: Hashable
    request: Hashable
    granted: asyncio.Future[None]
    alone: bool = False
    begun: float = 0.0
    limit: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))
    over: bool = False


class _Interrupted(Exception):
    """The fetch was interrupted in favour of a server that is not known as slow."""


@dataclass(slots=True)
class _Queue:
    """
    The fetches from the same servers: the number under way, and the waiting ones.

    `requests`: the number under way by their request. `under_way` does not include those that are `alone`.
    """

    under_way: int = 0
    alone: int = 0
    waiting: deque[_Waiter] = field(default_factory=deque)
    requests: Counter[Hashable] = field(default_factory=Counter)


class FetchSlots:
    """The slots of all fetches in one event loop."""

    def __init__(self) -> None:
        self._queues: dict[Hashable, _Queue] = {}
        self._further = 0
        self._under_way = 0
        self._running: dict[_Waiter, None] = {}  # in the order in which they began
        self._slow: dict[Hashable, None] = {}  # servers whose last fetch took longer than a slice

    async def fetch(
        self,
        fetch: Callable[[], Awaitable[T]],
        servers: Hashable,
        request: Hashable = None,
        interrupted: Callable[[], None] = lambda: None,
    ) -> T:
        """
        Return what `fetch` returns, in a slot for `servers`. Slots are given in the order of arrival.

        `request`: what the fetch sends. One executable may hang with the arguments of one profile only.
        `fetch` may be cancelled and called again; `interrupted` is called in between.
        """
        while True:
            try:
                async with self._slot(servers, request):
                    return await fetch()
            except _Interrupted:
                interrupted()

    @asynccontextmanager
    async def _slot(self, servers: Hashable, request: Hashable) -> AsyncIterator[None]:
        """Hold a slot during the block. Raises _Interrupted."""
        queue = self._queues.setdefault(servers, _Queue())
        waiter = _Waiter(_now(), servers, request, asyncio.get_running_loop().create_future())
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
            await self._interrupting(queue, waiter)
            await asyncio.wait([waiter.granted])
            async with waiter.limit:
                self._running[waiter] = None
                yield
        except TimeoutError:
            if not waiter.limit.expired():
                raise
            raise _Interrupted from None
        finally:
            if waiter.granted.done():
                self._give_back(queue, waiter)
            else:
                queue.waiting.remove(waiter)
            self._released(servers, queue)

    async def _interrupting(self, queue: _Queue, waiter: _Waiter) -> None:
        """Interrupt the oldest slow fetch, and the next one if another waiter takes the slot, until there is one."""
        interrupted: _Waiter | None = None
        while not waiter.granted.done() and self._may_interrupt(queue, waiter):
            oldest = next(iter(self._running), None)
            pause = SLICE_SECONDS
            if (interrupted is None or interrupted.over) and oldest is not None:
                pause = oldest.begun + SLICE_SECONDS - _now()
                if pause <= 0:
                    pause = SLICE_SECONDS
                    interrupted = oldest
                    del self._running[oldest]
                    oldest.limit.reschedule(_now())
            await asyncio.wait([waiter.granted], timeout=pause)

    def _may_interrupt(self, queue: _Queue, waiter: _Waiter) -> bool:
        """Return whether only the limit of all fetches delays the waiter, and its servers are not known as slow."""
        first = list(itertools.islice(queue.waiting, max(0, AT_ONCE - queue.under_way)))
        return self._under_way >= MOST_OF_ALL and waiter.servers not in self._slow and waiter in first

    def _give_back(self, queue: _Queue, waiter: _Waiter) -> None:
        waiter.over = True
        self._running.pop(waiter, None)
        self._slow.pop(waiter.servers, None)
        if _now() - waiter.begun >= SLICE_SECONDS:
            self._slow[waiter.servers] = None
            if len(self._slow) > MOST_SLOW:
                del self._slow[next(iter(self._slow))]
        if waiter.alone:
            queue.alone -= 1
        else:
            self._further -= queue.under_way > AT_ONCE
            queue.under_way -= 1
        queue.requests[waiter.request] -= 1
        self._under_way -= 1

    def _released(self, servers: Hashable, queue: _Queue) -> None:
        for is_slow in (False, True):  # any queue may use a further slot
            for name, other in self._queues.items():
                if other.waiting and (name in self._slow) is is_slow:
                    self._grant(other)
        if not queue.requests.total() and not queue.waiting:
            self._queues.pop(servers, None)

    def _grant(self, queue: _Queue) -> None:
        """Give slots to the waiting fetches, in the order of their arrival."""
        while queue.waiting and self._has_slot(queue, queue.waiting[0].since):
            self._further += queue.under_way >= AT_ONCE
            queue.under_way += 1
            self._begin(queue, queue.waiting.popleft())

    def _grant_alone(self, queue: _Queue, waiter: _Waiter) -> None:
        """Give a slot to a fetch that has waited long enough, unless a fetch under way sends the same request."""
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
        waiter.begun = _now()
        waiter.granted.set_result(None)

    def _has_slot(self, queue: _Queue, since: float) -> bool:
        if self._under_way >= MOST_OF_ALL:
            return False
        if queue.under_way < AT_ONCE:
            return True
        patient = _now() - since >= TURN_SECONDS
        return patient and queue.under_way < MOST_AT_ONCE and self._further < FURTHER_SLOTS


def servers_of(settings: Settings, directory: Callable[[str], str] = os.path.dirname) -> dict[str, Hashable]:
    """
    Return each profile's dependencies: hosts with ports, executables that print a token, directories of its files.

    `directory` returns the directory of a file.
    """
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}  # profiles with the same servers share one tuple
    servers: dict[str, Hashable] = {}
    for name, profile in settings.profiles.items():
        place = profile_place(name)
        hosts = [server_of(url) for url in urls_of(profile, place)]
        parts = [part for part, _ in identities.parts(profile.identity, place)]
        executables = [part.command[0] for part in parts if isinstance(part, CommandIdentity)]
        # Directories, not files: with one file per profile, all profiles of a server would fetch at once.
        directories = {directory(path) for path, _ in named_files(profile)}
        key = (*hosts, *executables, *sorted(directories))
        servers[name] = shared.setdefault(key, key)
    return servers


def requests_of(settings: Settings) -> dict[str, Hashable]:
    """Return the requests of each profile: whole URLs, and commands with their arguments."""
    shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    requests: dict[str, Hashable] = {}
    for name, profile in settings.profiles.items():
        place = profile_place(name)
        parts = [part for part, _ in identities.parts(profile.identity, place)]
        commands = ["\0".join(part.command) for part in parts if isinstance(part, CommandIdentity)]
        key = (*urls_of(profile, place), *commands)
        requests[name] = shared.setdefault(key, key)
    return requests


def _now() -> float:
    return asyncio.get_running_loop().time()
