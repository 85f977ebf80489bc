"""The output of another process, read as it comes, up to a bound, and without waiting for its descendants."""

from __future__ import annotations

import asyncio
import os


class BoundedPipe:
    """
    A pipe whose `write_end` is for the process. Needs a running loop, and `close`.

    A pipe of the event loop ends when the last holder has closed it. uvloop hands the other end down to every process
    that it starts, so a daemon of a command would hold it although it has closed all descriptors that it knows.
    """

    def __init__(self, largest: int) -> None:
        self.text = b""
        self.overflowed = asyncio.Event()
        self._largest = largest
        self._loop = asyncio.get_running_loop()
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._loop.add_reader(self._read_end, self.read_available)

    def read_available(self) -> None:
        """Read what has been printed so far: all of it once the process has ended."""
        while len(self.text) <= self._largest:
            try:
                chunk = os.read(self._read_end, self._largest)
            except BlockingIOError:
                return
            if not chunk:
                break
            self.text += chunk
        else:
            self.overflowed.set()
        self._loop.remove_reader(self._read_end)

    def close(self) -> None:
        """Close both ends."""
        self._loop.remove_reader(self._read_end)
        os.close(self._read_end)
        os.close(self.write_end)
