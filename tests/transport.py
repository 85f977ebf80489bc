"""A transport without a socket, for tests of the HTTP protocol."""

from __future__ import annotations

import asyncio
from typing import Any


class RecordingTransport(asyncio.Transport):
    """
    A transport that records what is written, and what the protocol asks of it.

    `unread`: bytes that the client leaves unread. As of a real transport, `pause_writing` of `protocol` is called when
    they are above the limit that the protocol sets.
    """

    def __init__(self, extra: dict[str, Any] | None = None) -> None:
        super().__init__(extra)
        self.written = b""
        self.closing = False
        self.ended = False
        self.aborted = False
        self.reading = True
        self.unread = 0
        self.protocol: asyncio.Protocol | None = None

    def get_write_buffer_size(self) -> int:
        return self.unread

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if self.protocol is not None and high is not None and self.unread > high:
            self.protocol.pause_writing()

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def write_eof(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.aborted = True
        self.closing = True

    def close(self) -> None:
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing
