"""Connections to the cloud with a bound for each read and for a whole answer.

httpcore reads interim answers (1xx) without end, and parses all bytes of one read before the event loop goes on. Its
errors do not say how much of an answer arrived. The errors of this module do.
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

CLOSED = "idaas_sidecar.closed"
"""The name of the extra information that tells whether the server has closed the connection."""

_INTERIM = re.compile(rb"HTTP/\d\.\d 1\d\d")
_LONGEST_MATCH = 12


class TooMuch(Exception):
    """An answer above a bound. The text is the end of a sentence that begins with the server's URL."""


class NoHttp(httpcore.RemoteProtocolError):
    """The first bytes of an answer are not HTTP. `tls`: whether they are TLS, in answer to a request in clear."""

    def __init__(self, *, tls: bool) -> None:
        super().__init__("not HTTP")
        self.tls = tls


class Ended(httpcore.RemoteProtocolError):
    """
    The server closed the connection before the end of the answer's head, or the connection broke off.

    `begun`: whether a part of the answer had arrived. `clear`: whether the connection was one without TLS. The error of
    a broken connection is the context.
    """

    def __init__(self, *, begun: bool, clear: bool = False) -> None:
        super().__init__("ended")
        self.begun = begun
        self.clear = clear


class Stopped(httpcore.ReadTimeout):
    """The server sent the beginning of an answer, and then nothing in time."""


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
        self._in_head = True
        self._closed = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        await asyncio.sleep(0)  # without this, bytes that have arrived already are returned without a pause
        try:
            data = await self._stream.read(min(max_bytes, PIECE), timeout)
        except httpcore.ReadTimeout as error:
            raise (Stopped if self._received else httpcore.ReadTimeout) from error
        except httpcore.ReadError:
            raise self._ended()  # noqa: B904 - the context keeps the error; httpx replaces the cause
        self._closed = self._closed or not data
        if not data and self._in_head:
            raise self._ended()
        self._check(data)
        return data

    def _check(self, data: bytes) -> None:
        """Count a piece of an answer. Raises NoHttp or TooMuch."""
        if not self._received:
            _check_start(data)
        self._received += len(data)
        if self._received > LARGEST:
            raise TooMuch(f"an answer of more than {LARGEST} bytes")
        text = self._end + data
        self._interim += len(_INTERIM.findall(text))
        self._in_head = self._in_head and b"\r\n\r\n" not in text and b"\n\n" not in text
        self._end = text[1 - _LONGEST_MATCH :]  # shorter than a match, so no match is counted twice
        if self._interim > MOST_INTERIM:
            raise TooMuch(f"more than {MOST_INTERIM} interim answers (1xx) and no final one")

    def _ended(self) -> Ended:
        return Ended(begun=self._received > 0, clear=self._stream.get_extra_info("ssl_object") is None)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self._received = self._interim = 0
        self._end = b""
        self._in_head = True
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
        if info == CLOSED:
            return self._closed
        return self._stream.get_extra_info(info)


def _check_start(data: bytes) -> None:
    """Raise NoHttp unless an answer that begins with `data` may be HTTP. Blank lines before it are tolerated."""
    start = data.lstrip(b"\r\n")[: len(_HTTP)]
    if not _HTTP.startswith(start):
        raise NoHttp(tls=start[:1] in _TLS_RECORDS)


_HTTP = b"HTTP/"

_TLS_RECORDS = (b"\x15", b"\x16")
"""The first byte of a TLS alert and of a handshake (RFC 8446 section 5.1)."""
