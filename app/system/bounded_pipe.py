"""What another process prints: taken as it comes, up to a bound, and without waiting for those that it left behind."""

from __future__ import annotations

import asyncio
import os


class Output:
    """
    A pipe whose `write_end` is for the process. Needs a running loop; to be closed.

    A pipe of the event loop's own ends when the last one has closed it; and uvloop hands its other end down to every
    process that it starts, so a daemon of a command's would hold it, though it has closed all that it knows of.
    """

    def __init__(self, largest: int) -> None:
        self.text = b""
        self.too_much = asyncio.Event()
        self._largest = largest
        self._loop = asyncio.get_running_loop()
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._loop.add_reader(self._read_end, self.take)

    def take(self) -> None:
        """Takes what has been printed so far: all of it, when the process has ended."""
        while len(self.text) <= self._largest:
            try:
                chunk = os.read(self._read_end, self._largest)
            except BlockingIOError:
                return
            if not chunk:
                break
            self.text += chunk
        else:
            self.too_much.set()
        self._loop.remove_reader(self._read_end)

    def close(self) -> None:
        self._loop.remove_reader(self._read_end)
        os.close(self._read_end)
        os.close(self.write_end)
