"""A stream that is written to without ever waiting for whoever reads it.

A log that nobody reads (a full pipe, a stopped terminal) must not stop the process that writes it, and with it every
credential. What cannot be written now is kept for later, up to a bound; beyond it is counted, and the count is told.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections import deque
from typing import TextIO

PIECE = select.PIPE_BUF
"""Bytes: a pipe that is ready takes as much at once (POSIX)."""

LONGEST_BACKLOG = 2_048
"""Pieces kept for later: a line is one, seldom more."""


class Outlet:
    """Writes lines to `stream`; to one without a descriptor, as in tests, as it is."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._backlog: deque[bytes] = deque()
        self._lost = 0
        try:
            self._descriptor: int | None = stream.fileno()
            self._poll = select.poll()
            self._poll.register(self._descriptor, select.POLLOUT)
        except (OSError, ValueError):
            self._descriptor = None

    def write(self, line: str) -> None:
        """Writes `line`, or keeps it. Raises nothing: that nobody reads us any more must not end the service."""
        if self._descriptor is None:
            with contextlib.suppress(OSError, ValueError):
                self._stream.write(line)
            return
        raw = line.encode(errors="replace")
        if len(self._backlog) + len(raw) // PIECE >= LONGEST_BACKLOG:
            self._lost += 1
        else:
            self._backlog.extend(raw[at : at + PIECE] for at in range(0, len(raw), PIECE))
        self.flush()

    def take_lost(self) -> int:
        """How many lines were lost since this was last asked, once there is room again to tell it."""
        if self._backlog:
            return 0
        lost, self._lost = self._lost, 0
        return lost

    def flush(self, patience: float = 0.0) -> None:
        """Writes what is kept, as far as somebody takes it; waits at most `patience` seconds for each piece."""
        if self._descriptor is None:
            return
        try:
            while self._backlog and self._poll.poll(1000 * patience):
                written = os.write(self._descriptor, self._backlog[0])
                rest = self._backlog.popleft()[written:]
                if rest:
                    self._backlog.appendleft(rest)
        except BlockingIOError:
            return
        except OSError:  # nobody is there any more
            self._backlog.clear()
