"""One raw exchange after another, each on a connection of its own, within limits. Nothing is ever followed."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import replace

from .address import Address
from .answer import Answer, NotAsked, NotHttp, Reply, Silence, take_apart

MOST_REQUESTS = 150
MOST_SECONDS = 120.0
"""For all requests together: a server that is slow on each of them is let go, and the rest is not looked at."""

PATIENCE = 6.0
"""Seconds for one answer: above the 5 of the most impatient URI clients, so that their failure is seen."""


class Budget:
    """What one look may cost its servers, in requests and in seconds."""

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.monotonic,
        requests: int = MOST_REQUESTS,
        seconds: float = MOST_SECONDS,
    ) -> None:
        self.now = now
        self._requests = requests
        self._began = now()
        self._ends = self._began + seconds
        self.spent = 0

    @property
    def seconds(self) -> float:
        """How long the look has taken so far."""
        return self.now() - self._began

    def take(self) -> None:
        """One more request. Raises NotAsked where there is none left."""
        if self.spent >= self._requests or self.now() >= self._ends:
            raise NotAsked(f"{self.spent} requests in {self.seconds:.0f} s are enough")
        self.spent += 1


class Wire:
    """
    Asks one server, one request at a time.

    What goes wrong is a Silence. Raises NotAsked, and sends nothing, past the budget.
    """

    def __init__(self, where: Address, budget: Budget, *, patience: float = PATIENCE) -> None:
        self._where = where
        self._budget = budget
        self._now = budget.now
        self._patience = patience

    def ask(self, raw: bytes, *, bodyless: bool = False) -> Reply:
        """The answer to `raw`, or why there is none."""
        self._budget.take()
        try:
            connection = self._connect()
        except OSError as error:
            return Silence(_words(error))
        with connection:
            return self._exchange(connection, raw, bodyless)

    def idle_seconds(self, raw: bytes, limit: float) -> float | None:
        """Seconds after an answer until the server closes the connection; None: not within `limit`, or no answer."""
        self._budget.take()
        try:
            with self._connect() as connection:
                answered = isinstance(self._exchange(connection, raw, bodyless=False), Answer)
                return self._closing(connection, limit) if answered else None
        except OSError:
            return None

    def _closing(self, connection: socket.socket, limit: float) -> float | None:
        began = self._now()
        connection.settimeout(limit)
        try:
            return self._now() - began if connection.recv(1) == b"" else None
        except ConnectionResetError:
            return self._now() - began
        except TimeoutError:
            return None

    def _connect(self) -> socket.socket:
        return socket.create_connection((self._where.host, self._where.port), self._patience)

    def _exchange(self, connection: socket.socket, raw: bytes, bodyless: bool) -> Reply:
        began = self._now()
        try:
            connection.sendall(raw)
            return self._receive(connection, began, bodyless)
        except NotHttp as error:
            return Silence(str(error))
        except OSError as error:
            return Silence(self._too_late() if isinstance(error, TimeoutError) else _words(error))

    def _receive(self, connection: socket.socket, began: float, bodyless: bool) -> Reply:
        received, first = b"", None
        while True:
            left = began + self._patience - self._now()
            if left <= 0:
                return Silence(self._too_late())
            connection.settimeout(left)
            piece = connection.recv(65_536)
            first = self._now() - began if first is None else first
            received += piece
            answer = take_apart(received, ended=not piece, bodyless=bodyless)
            if answer is not None:
                return replace(answer, first_byte=first, seconds=self._now() - began)

    def _too_late(self) -> str:
        return f"no whole answer within {self._patience:g} s"


def _words(error: OSError) -> str:
    return "no connection in time" if isinstance(error, TimeoutError) else error.strerror or type(error).__name__
