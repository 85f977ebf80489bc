"""An HTTP server on loopback that records the requests it gets, as a server or as a proxy."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


class Server:
    """
    A server that records the first line of each request, and the number of connections opened and closed.

    It sends `answer` to each request, and with `ends` closes the connection after it.
    """

    def __init__(self, answer: bytes = ANSWER, *, ends: bool = False) -> None:
        self._answer, self._ends = answer, ends
        self.lines: list[str] = []
        self.opened = self.closed = 0
        self.authority = ""
        self._closing = asyncio.Condition()

    async def closed_connections(self, number: int) -> None:
        """Return when clients have closed this number of connections."""
        async with self._closing:
            await asyncio.wait_for(self._closing.wait_for(lambda: self.closed >= number), 30)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.opened += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.lines.append(head.partition(b"\r\n")[0].decode())
                writer.write(self._answer)
                if self._ends or self.lines[-1].startswith("CONNECT"):
                    break  # there is nothing behind the tunnel
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            async with self._closing:
                self.closed += 1
                self._closing.notify_all()


@asynccontextmanager
async def serving(
    context: ssl.SSLContext | None = None, answer: bytes = ANSWER, *, ends: bool = False
) -> AsyncIterator[Server]:
    """Run a server on loopback."""
    found = Server(answer, ends=ends)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0, ssl=context)
    found.authority = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        server.close()
        await server.wait_closed()
