"""Writes to a stream without ever waiting for its reader.

A log that is not read (a full pipe, a stopped terminal) must not stop the sidecar, which would then serve no
credentials. Lines that cannot be written now are kept for later, up to a bound. Above this bound, lines are dropped and
counted, and the count is logged. A regular file is always ready, but its file system may hang, so a thread writes to
it.
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
"""Bytes that a pipe takes at once when it is ready (POSIX)."""

LONGEST_BACKLOG = 2_048
"""The most pieces kept for later. A line is usually one piece."""


class NonBlockingStream:
    """Writes lines to `stream`. Writes directly to a stream without a descriptor, such as a test's."""

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
        """Write `line`, or keep it for later. Raises nothing: a reader that has ended must not end the service."""
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
        """Return the number of lost lines and reset it. Returns 0 until there is room again to log the number."""
        if self._backlog:
            return 0
        lost, self._lost = self._lost, 0
        return lost

    def flush(self, patience: float = 0.0) -> None:
        """Write the kept lines as far as the reader takes them. Wait at most `patience` seconds for each piece."""
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
        except OSError:  # the reader has ended
            self._backlog.clear()

    def _write_beside(self, patience: float) -> None:
        """Let a thread write the kept lines. Wait at most `patience` seconds for the thread."""
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
