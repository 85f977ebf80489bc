"""A stream that is written to without ever waiting for its reader.

A log that is not read (a full pipe, a stopped terminal) must not stop the process that writes it, and with it every
credential. What cannot be written now is kept for later, up to a bound; beyond it lines are counted, and the count is
logged. A regular file is always ready, and its file system may hang: a thread writes to it.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import select
import stat
import time
from collections import deque
from threading import Lock
from typing import TextIO

PIECE = select.PIPE_BUF
"""Bytes: a pipe that is ready takes as many at once (POSIX)."""

LONGEST_BACKLOG = 2_048
"""Pieces kept for later: a line is one, seldom more."""


class NonBlockingStream:
    """Writes lines to `stream`. A stream without a descriptor, as in tests, is written to directly."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._backlog: deque[bytes] = deque()
        self._lost = 0
        self._is_file = self._writing = False
        self._lock = Lock()
        try:
            self._descriptor: int | None = stream.fileno()
            self._is_file = stat.S_ISREG(os.fstat(self._descriptor).st_mode)
            self._poll = select.poll()
            self._poll.register(self._descriptor, select.POLLOUT)
        except (OSError, ValueError):
            self._descriptor = None

    def write(self, line: str) -> None:
        """Write `line`, or keep it. Raises nothing: a reader that is gone must not end the service."""
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
        """Return and reset the number of lost lines, once there is room again to log it."""
        if self._backlog:
            return 0
        lost, self._lost = self._lost, 0
        return lost

    def flush(self, patience: float = 0.0) -> None:
        """Write what is kept, as far as it is read; wait at most `patience` seconds for each piece."""
        if self._descriptor is None:
            return
        if self._is_file:
            self._write_beside(patience)
            return
        try:
            while self._backlog and self._poll.poll(1000 * patience):
                written = os.write(self._descriptor, self._backlog[0])
                rest = self._backlog.popleft()[written:]
                if rest:
                    self._backlog.appendleft(rest)
        except BlockingIOError:
            return
        except OSError:  # the reader is gone
            self._backlog.clear()

    def _write_beside(self, patience: float) -> None:
        """Have a thread write what is kept; wait at most `patience` seconds for it."""
        with self._lock:
            starts = bool(self._backlog) and not self._writing
            self._writing = self._writing or starts
        if starts:
            _thread.start_new_thread(self._write_to_file, ())
        until = time.monotonic() + patience
        while patience and self._writing and time.monotonic() < until:
            time.sleep(0.005)

    def _write_to_file(self) -> None:
        while True:
            with self._lock:
                if not self._backlog:
                    self._writing = False
                    return
                piece = self._backlog[0]
            with contextlib.suppress(OSError):  # a full disk loses the line, as without a thread
                self._write_all(piece)
            self._backlog.popleft()

    def _write_all(self, piece: bytes) -> None:
        while piece and self._descriptor is not None:
            piece = piece[os.write(self._descriptor, piece) :]
