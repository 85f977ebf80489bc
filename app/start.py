"""Delays a start until what the configuration names is there. Another program may still make it."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from typing import Generic, TextIO, TypeVar

from .core.errors import NotThereYet
from .core.values import Now
from .system.disk import PATIENCE, DaemonThreads

T = TypeVar("T")

COMPLETE_SECONDS = 60.0
"""Seconds to wait at most for what another program makes: the default of `startup.timeoutSeconds`."""


def complete(command: str, reading: Callable[[], T], stream: TextIO = sys.stderr) -> T:
    """
    Return the result of `reading` as soon as all is there that it needs: files, and addresses to listen on.

    Writes once to `stream` what `command` waits for. Raises ConfigError at once, and NotThereYet when the time is over
    or after SIGTERM.
    """

    def say(absence: NotThereYet) -> None:
        for line in str(absence).splitlines():
            print(f"idaas-sidecar {command}: {line}; waiting for {absence.awaited}", file=stream, flush=True)

    with _stopped_by_sigterm() as stopped:
        return when_complete(OneReading(reading), say, stopped.wait)


@contextlib.contextmanager
def _stopped_by_sigterm() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM sets. Without a handler, the first process of a container would ignore SIGTERM."""
    stopped = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: stopped.set())
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGTERM, before)


class OneReading(Generic[T]):
    """
    Reads the configuration in a thread. While a reading hangs, no other one is begun.

    A call raises NotThereYet if the file system does not answer: it may answer while the application still waits.
    """

    def __init__(self, reading: Callable[[], T], patience: float = 2 * PATIENCE) -> None:
        self._reading = reading
        self._patience = patience
        self._under_way: Future[T] | None = None

    def __call__(self) -> T:
        begun = self._under_way is None
        reading = self._under_way = self._under_way or DaemonThreads().submit(self._reading)
        wait([reading], self._patience if begun else 0)
        if not reading.done():
            raise NotThereYet(
                "the configuration, or a file that it names: the file system does not answer",
                error_code="IDS-601",
                awaited="it",
            )
        self._under_way = None
        return reading.result()


def when_complete(
    reading: Callable[[], T],
    say: Callable[[NotThereYet], None],
    sleep: Callable[[float], bool],
    monotonic: Now = time.monotonic,
) -> T:
    """
    Return the result of `reading` as soon as it does not raise NotThereYet.

    `say` is called once for each text, because there is no log yet. `sleep` returns whether to stop.
    Raises ConfigError at once, and NotThereYet after the error's `patience` or when stopped.
    """
    begun = monotonic()
    said: set[str] = set()
    while True:
        try:
            return reading()
        except NotThereYet as absence:
            if monotonic() >= begun + (absence.patience or COMPLETE_SECONDS):
                raise
            if str(absence) not in said:
                say(absence)
            said.add(str(absence))
            if sleep(0.5):
                raise
