"""Connections to the cloud with a bound for each read and for a whole answer.

httpcore reads interim answers (1xx) without end, and parses all bytes of one read before the event loop goes on.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Iterable
from typing import Any

import httpcore

PIECE = 4_096
"""Bytes per read. They are parsed in some milliseconds; then the event loop does other work."""

LARGEST = 524_288
"""The most bytes of an answer on the wire: twice the largest body, for head, chunk sizes and interim answers."""

MOST_INTERIM = 16
"""The most interim answers before the final one. Servers send one or none."""

_INTERIM = re.compile(rb"HTTP/\d\.\d 1\d\d")
_LONGEST_MATCH = 12


class TooMuch(Exception):
    """An answer above a bound. The text is the end of a sentence that begins with the server's URL."""


class BoundedNetwork(httpcore.AsyncNetworkBackend):
    """Opens the connections of `network`, and bounds their reads."""

    def __init__(self, network: httpcore.AsyncNetworkBackend) -> None:
        self._network = network

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return BoundedStream(await self._network.connect_tcp(host, port, timeout, local_address, socket_options))

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


class BoundedStream(httpcore.AsyncNetworkStream):
    """A connection on which one answer follows each request. `read` raises TooMuch."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._received = 0
        self._interim = 0
        self._end = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        await asyncio.sleep(0)  # without this, bytes that have arrived already are returned without a pause
        data = await self._stream.read(min(max_bytes, PIECE), timeout)
        self._received += len(data)
        if self._received > LARGEST:
            raise TooMuch(f"an answer of more than {LARGEST} bytes")
        text = self._end + data
        self._interim += len(_INTERIM.findall(text))
        self._end = text[1 - _LONGEST_MATCH :]  # shorter than a match, so no match is counted twice
        if self._interim > MOST_INTERIM:
            raise TooMuch(f"more than {MOST_INTERIM} interim answers (1xx) and no final one")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self._received = self._interim = 0
        self._end = b""
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        return BoundedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
