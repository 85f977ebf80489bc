"""TCP and TLS connections for httpcore, to all addresses of a name, with an error that lists the attempts.

httpcore's own backend looks up names in the event loop's thread pool, and reports every cause as "All connection
attempts failed".
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore

from ...core.addresses import address_of, authority, is_loopback
from ...core.record import Record
from .attempts import Attempts
from .resolver import NameNotResolved, Resolver

HEAD_START = 0.25
"""Seconds after which the next address is also tried if one does not answer (RFC 8305 section 5)."""


class Attempt(Record, frozen=True):
    """
    A failed attempt to connect to `address`, with its port. `number`: the errno; None if no answer came in time.

    `misled`: the address of a name is this machine's own (loopback, or 0.0.0.0), as DNS filters answer.
    """

    address: str
    number: int | None
    misled: bool = False


class NotConnected(httpcore.ConnectError):
    """No address of a host accepts the connection. `attempts`: all attempts, in order. `seconds`: the time limit."""

    def __init__(self, attempts: list[Attempt], seconds: float | None) -> None:
        super().__init__("not connected")
        self.attempts = attempts
        self.seconds = seconds


class NotSecured(httpcore.ConnectError):
    """The TLS handshake with `name` failed on an open TCP connection."""

    def __init__(self, name: str, *, timed_out: bool) -> None:
        super().__init__("TLS handshake failed")
        self.name = name
        self.timed_out = timed_out


class Network(httpcore.AsyncNetworkBackend):
    """
    Opens the connections of a pool.

    Raises NotConnected, NotSecured, or a ConnectError with NameNotResolved as its context. httpcore keeps the type and
    the context of an error, but not its cause.
    """

    def __init__(self, resolver: Resolver, sockets: httpcore.AsyncNetworkBackend | None = None) -> None:
        self._resolver = resolver
        self._sockets = sockets or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        started = time.monotonic()
        try:
            addresses = [host] if is_address(host) else await self._resolver.resolve(host, timeout)
        except NameNotResolved as error:
            raise httpcore.ConnectError from error
        left = None if timeout is None else max(0.0, timeout - (time.monotonic() - started))
        race = _Race(self._sockets, self._resolver.attempts, port, local_address, socket_options)
        try:
            return _Stream(await race.first(addresses, left))
        except OSError:  # TimeoutError, too
            raise NotConnected(race.attempts(of_name=not (is_address(host) or is_loopback(host))), timeout) from None

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Race:
    """Attempts to connect to several addresses, each with a head start before the next one (RFC 8305)."""

    def __init__(self, sockets: httpcore.AsyncNetworkBackend, limit: Attempts, port: int, *options: Any) -> None:
        self._sockets = sockets
        self._limit = limit
        self._port = port
        self._options = options
        self._failed: dict[str, int | None] = {}
        self._won: httpcore.AsyncNetworkStream | None = None

    def attempts(self, *, of_name: bool) -> list[Attempt]:
        """Return the attempts that have failed or have not been answered. `of_name`: DNS has chosen the addresses."""
        return [
            Attempt(authority(address, self._port), number, misled=of_name and _is_own(address))
            for address, number in self._failed.items()
        ]

    async def first(self, addresses: list[str], seconds: float | None) -> httpcore.AsyncNetworkStream:
        """Return the first connection. Raises TimeoutError after `seconds`, and OSError when all attempts failed."""
        tasks: set[asyncio.Task[None]] = set()
        try:
            # All addresses are tried within half of the time, so that the last one can still answer.
            start = HEAD_START if seconds is None else min(HEAD_START, seconds / 2 / len(addresses))
            async with asyncio.timeout(seconds):
                await self._run(addresses, tasks, start)
        except BaseException:
            await self._stop(tasks)
            if self._won is not None:  # an attempt connected at the moment of the time-out
                await self._won.aclose()
            raise
        await self._stop(tasks)
        if self._won is None:
            raise OSError("all attempts failed")
        return self._won

    async def _run(self, addresses: list[str], tasks: set[asyncio.Task[None]], head_start: float) -> None:
        """Start attempts in turn until one has won or all have ended."""
        with self._limit.race() as race:
            for address in addresses:
                task = asyncio.create_task(self._attempt(address))
                tasks.add(task)
                self._limit.add(race, task)
                await self._wait(race.tasks, head_start)
                if self._won is not None:
                    return
            while self._won is None and await self._wait(race.tasks, None):
                pass

    @staticmethod
    async def _wait(under_way: list[asyncio.Task[None]], seconds: float | None) -> bool:
        """Wait until one of the attempts under way ends; return whether there was one."""
        if not under_way:
            return False
        await asyncio.wait(tuple(under_way), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return True

    @staticmethod
    async def _stop(tasks: set[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _attempt(self, address: str) -> None:
        self._failed[address] = None
        try:
            stream = await self._sockets.connect_tcp(address, self._port, None, *self._options)
        except httpcore.ConnectError as error:
            self._failed[address] = _number(error)
            return
        if self._won is None:
            self._won = stream
        else:
            await stream.aclose()


class _Stream(httpcore.AsyncNetworkStream):
    """A connection whose failed TLS handshake raises NotSecured with the server's name."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: Any,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        try:
            return _Stream(await self._stream.start_tls(ssl_context, server_hostname, timeout))
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            timed_out = isinstance(error, httpcore.ConnectTimeout)
            raise NotSecured(server_hostname or "", timed_out=timed_out) from error

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _number(error: BaseException) -> int:
    """Return the errno of the system's error behind `error`; 0 if there is none."""
    return next((found.errno for found in causes(error) if isinstance(found, OSError) and found.errno), 0)


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield `error` and its causes and contexts. For a group, yield its members one by one."""
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        found = pending.pop(0)
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        if isinstance(found, BaseExceptionGroup):
            pending.extend(found.exceptions)
        pending.extend((found.__cause__, found.__context__))


def _is_own(address: str) -> bool:
    found = address_of(address)
    return found is not None and (found.is_loopback or found.is_unspecified)


def is_address(host: str) -> bool:
    """Return whether `host` is an IP address, which needs no look-up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
