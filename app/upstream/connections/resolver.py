"""Look-ups of host names by the system's resolver, each in a thread of its own.

An event loop runs `getaddrinfo` in a small thread pool: two threads with uvloop. A look-up cannot be cancelled, so two
names whose resolver does not answer would stop every look-up of the process. With a thread per look-up, a look-up that
hangs delays no other name.

A look-up asks for the addresses of both families, and goes through the search list of resolv.conf. It waits for all
answers: a resolver that is silent about IPv6, or about one domain of the search list, holds back the address that
another answer has. So a look-up for each family, without the search list, joins a look-up that takes long.

A dead nameserver before a healthy one delays each answer by 5 s (resolv.conf's `timeout`), which is the connect limit.
So an answer that comes after its callers gave up is kept for the next ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from itertools import zip_longest

from ...core.record import Record
from ...core.values import Now
from .attempts import Attempts

MOST_ADDRESSES = 128
"""The most addresses of a name that are used. An answer of DNS may have 4,000 (64 KiB)."""

SHARED_SECONDS = 1.0
"""Seconds up to which callers share a look-up. An older look-up may hang although the resolver works again."""

MOST_REPEATED = 16
"""
The maximum of concurrent look-ups that repeat another one for the same name and family. The first always starts.
"""

ALONE_SECONDS = 1.0
"""Seconds until the look-ups of single families join. A resolver in the same network answers in milliseconds."""

MOST_ALONE = 64
"""
The maximum of concurrent look-ups of single families. Above this number, none is added. Without this bound, each name
that DNS does not answer would keep three threads: 400 such names filled the memory limit of the manifests.
"""

LATE_SECONDS = 60.0
"""Seconds for which an answer that took longer than ALONE_SECONDS is used where the next one takes as long."""

BOTH = int(socket.AF_UNSPEC)
FAMILIES = (int(socket.AF_INET), int(socket.AF_INET6))

GetAddresses = Callable[[str, int], list[str]]
"""Returns the addresses of a name in a family. May block. Raises OSError."""

Start = Callable[[Callable[[], None]], None]
"""Runs a function outside the event loop. Raises RuntimeError if that is not possible."""


class NameNotResolved(OSError):
    """
    The name `host` has no address. `code`: the EAI_* number of the resolver; None if it did not answer in time.

    A positive `code` is the errno of a limit of this machine, for which the resolver has no number of its own.
    """

    def __init__(self, host: str, code: int | None, seconds: float) -> None:
        super().__init__(f"{host} was not resolved")
        self.host = host
        self.code = code
        self.seconds = seconds


class _LookUp(Record, frozen=True):
    started: float
    result: asyncio.Future[list[str] | int]
    """The addresses, or the EAI_* number. An exception would form a cycle with its frames, and stay in memory."""


class Resolver:
    """
    Resolves names for one event loop. Threads are daemons, so a look-up that hangs does not delay the exit.

    `attempts`: the attempts to connect to the addresses, which all connections with this resolver count together.
    """

    def __init__(
        self,
        addresses: GetAddresses | None = None,
        *,
        now: Now = time.monotonic,
        start: Start | None = None,
        alone: float = ALONE_SECONDS,
        limit: Callable[[], int] | None = None,
    ) -> None:
        self.attempts = Attempts()
        self._addresses = addresses or system_addresses
        self._start = start or _in_a_thread
        self._now = now
        self._alone = alone
        self._limit = limit or _no_descriptor
        self._under_way: defaultdict[tuple[str, int], list[_LookUp]] = defaultdict(list)
        self._late: dict[str, tuple[float, list[str]]] = {}

    async def resolve(self, host: str, seconds: float | None) -> list[str]:
        """Return addresses of `host`, IPv4 and IPv6 in turn. Raises NameNotResolved, also after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                result = await self._first(host)
        except TimeoutError:
            raise NameNotResolved(host, None, seconds or 0.0) from None
        if isinstance(result, int):
            raise NameNotResolved(host, result, 0.0)
        return result

    async def _first(self, host: str) -> list[str] | int:
        """Return the result of the look-up, or the addresses that a look-up of one family has earlier."""
        whole = self._look_up(host, BOTH).result
        await asyncio.wait((whole,), timeout=self._alone)
        pending = {whole}
        late = self._late_answer(host)
        if not whole.done() and late:
            return late
        alone = sum(len(found) for (_, family), found in self._under_way.items() if family != BOTH)
        if not whole.done() and alone < MOST_ALONE:
            absolute = f"{host}." if "." in host and not host.endswith(".") else host
            pending |= {self._look_up(absolute, family).result for family in FAMILIES}
        while not whole.done():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            found = next((each.result() for each in done if isinstance(each.result(), list)), None)
            if found is not None:
                return found
        return whole.result()

    def _look_up(self, host: str, family: int) -> _LookUp:
        """Return a recent look-up or a new one. Return an old look-up only if too many are under way."""
        known = self._under_way[host, family]
        repeated = sum(len(found) - 1 for found in self._under_way.values() if found)
        if known and (self._now() - known[-1].started < SHARED_SECONDS or repeated >= MOST_REPEATED):
            return known[-1]
        started = _LookUp(self._now(), asyncio.get_running_loop().create_future())
        known.append(started)
        started.result.add_done_callback(lambda _: self._ended((host, family), started))
        try:
            self._start(partial(self._work, host, family, started.result))
        except RuntimeError:  # a limit of threads or memory
            started.result.set_result(int(socket.EAI_MEMORY))
        return started

    def _late_answer(self, host: str) -> list[str]:
        """Return the addresses that a slow look-up has found lately; empty without any."""
        answered, found = self._late.get(host.removesuffix("."), (0.0, []))
        return found if self._now() - answered < LATE_SECONDS else []

    def _ended(self, key: tuple[str, int], ended: _LookUp) -> None:
        self._under_way[key].remove(ended)
        if not self._under_way[key]:
            del self._under_way[key]
        if not ended.result.cancelled() and isinstance(found := ended.result.result(), list):
            self._keep_if_late(key[0].removesuffix("."), key[1], ended.started, found)

    def _keep_if_late(self, host: str, family: int, started: float, found: list[str]) -> None:
        """Keep the answer of a slow look-up, that of both families before that of one."""
        now = self._now()
        late = now - started >= self._alone
        if family == BOTH and not late:
            self._late.pop(host, None)
        elif late and (family == BOTH or not self._late_answer(host)):
            # A server that names another host each time must not fill the memory.
            self._late = {name: kept for name, kept in self._late.items() if now - kept[0] < LATE_SECONDS}
            self._late[host] = now, found

    def _work(self, host: str, family: int, result: asyncio.Future[list[str] | int]) -> None:
        """Look up the name in the thread, and pass the result to the event loop, which may have ended."""
        found: list[str] | int
        try:
            found = alternating(self._addresses(host, family))[:MOST_ADDRESSES]  # in this thread: there may be many
        except OSError as error:
            found = self._limit() or error.errno or socket.EAI_FAIL
        except UnicodeError:  # a label that is empty or longer than 63 characters
            found = int(socket.EAI_NONAME)
        with contextlib.suppress(RuntimeError):
            result.get_loop().call_soon_threadsafe(result.set_result, found)


def alternating(addresses: list[str]) -> list[str]:
    """Return the addresses with IPv4 and IPv6 in turn; each family keeps its order (RFC 8305 section 4)."""
    first: list[str] = []
    second: list[str] = []
    for address in addresses:
        (first if (":" in address) == (":" in addresses[0]) else second).append(address)
    pairs = zip_longest(first, second)
    return [address for pair in pairs for address in pair if address is not None]


def _in_a_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="look-up", daemon=True).start()


def _no_descriptor() -> int:
    """Return the errno if this process cannot open a socket, else 0. The resolver itself reports a silent server."""
    try:
        socket.socket(socket.AF_UNIX).close()
    except OSError as error:
        return error.errno or 0
    return 0


def system_addresses(host: str, family: int = BOTH) -> list[str]:
    """Return the addresses of `host` by `getaddrinfo`, in its order (RFC 6724). Raises OSError."""
    found = socket.getaddrinfo(host, None, family=family, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
