"""The output of another process, read as it arrives, up to a bound, without waiting for the process's descendants."""

from __future__ import annotations

import asyncio
import os

MOST_READS = 64
"""The most reads in a row. A pipe of the kernel holds 64 KiB."""

PAUSE_SECONDS = 0.01
"""Seconds between two series of reads. Output without end, or of single bytes, costs the event loop little. The end of
a process is not delayed, because its output is then read at once."""


class BoundedPipe:
    """
    A pipe whose `write_end` is passed to the process. Needs a running event loop. Call `close` at the end.

    `keep_end`: only the last `largest` bytes are kept, and the pipe never overflows. `pause`: seconds between two
    series of reads.

    Why not a pipe of the event loop: it ends only when the last holder has closed it. uvloop passes the other end to
    every process that it starts. So a daemon of a command would hold the pipe, although the daemon has closed all
    descriptors that it knows.
    """

    def __init__(self, largest: int, *, keep_end: bool = False, pause: float = PAUSE_SECONDS) -> None:
        self.text = b""
        self.overflowed = asyncio.Event()
        self._largest = largest
        self._keep_end = keep_end
        self._pause = pause
        self._loop = asyncio.get_running_loop()
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._ended = False
        self._timer: asyncio.TimerHandle | None = None
        self._watch()

    def read_available(self) -> None:
        """Read the available output. After the end of the process, this is all remaining output."""
        for _ in range(MOST_READS):  # a process that never stops printing must not hold the loop
            try:
                chunk = os.read(self._read_end, self._largest)
            except BlockingIOError:
                return
            self.text += chunk
            if self._keep_end:
                self.text = self.text[-self._largest :]
            elif len(self.text) > self._largest:
                self.overflowed.set()
            if not chunk or self.overflowed.is_set():
                self._ended = True
                return

    def _watch(self) -> None:
        self._loop.add_reader(self._read_end, self._read)

    def _read(self) -> None:
        """Read the available output, and then pause, so that the other end fills the pipe and waits."""
        self._loop.remove_reader(self._read_end)
        self.read_available()
        if not self._ended:
            self._timer = self._loop.call_later(self._pause, self._watch)

    def close(self) -> None:
        """Close both ends."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._read_end)
        os.close(self._read_end)
        os.close(self.write_end)
