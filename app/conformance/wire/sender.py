"""Send raw requests to one server, each on its own connection, within time and size limits."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Protocol

from .budget import Budget
from .response import InvalidResponse, NoResponse, Outcome, Response, parse_response
from .url import HttpUrl

RESPONSE_TIMEOUT = 6.0
"""Seconds for one response: above 5 s, the shortest timeout of the URI clients, so that their failure is measured."""


class Sender(Protocol):
    """Requests to one server. Raises BudgetExhausted past the budget."""

    def send(self, raw: bytes, *, bodyless: bool = False) -> Outcome:
        """Return the response to `raw`, or the reason why there is none."""
        ...

    def idle_seconds(self, raw: bytes, limit: float) -> float | None:
        """Return the seconds until the server closes an idle connection. None: not within `limit`."""
        ...


class SocketSender:
    """
    Send requests to one server, one at a time. Redirects are not followed.

    A failure is returned as NoResponse. Past the budget nothing is sent and BudgetExhausted is raised.
    """

    def __init__(self, url: HttpUrl, budget: Budget, *, timeout: float = RESPONSE_TIMEOUT) -> None:
        self._url = url
        self._budget = budget
        self._now = budget.now
        self._timeout = timeout

    def send(self, raw: bytes, *, bodyless: bool = False) -> Outcome:
        """Return the response to `raw`, or the reason why there is none. `bodyless`: `raw` is a HEAD request."""
        self._budget.take()
        try:
            connection = self._connect()
        except OSError as error:
            return NoResponse(_reason(error))
        with connection:
            return self._exchange(connection, raw, bodyless)

    def idle_seconds(self, raw: bytes, limit: float) -> float | None:
        """
        Return the seconds from a response until the server closes the idle connection.

        None: the connection is still open after `limit` seconds, or there was no response.
        """
        self._budget.take()
        try:
            with self._connect() as connection:
                responded = isinstance(self._exchange(connection, raw, bodyless=False), Response)
                return self._seconds_until_closed(connection, limit) if responded else None
        except OSError:
            return None

    def _seconds_until_closed(self, connection: socket.socket, limit: float) -> float | None:
        began = self._now()
        connection.settimeout(limit)
        try:
            return self._now() - began if connection.recv(1) == b"" else None
        except ConnectionResetError:
            return self._now() - began
        except TimeoutError:
            return None

    def _connect(self) -> socket.socket:
        return socket.create_connection((self._url.host, self._url.port), self._timeout)

    def _exchange(self, connection: socket.socket, raw: bytes, bodyless: bool) -> Outcome:
        began = self._now()
        try:
            connection.sendall(raw)
            return self._receive(connection, began, bodyless)
        except InvalidResponse as error:
            return NoResponse(str(error))
        except OSError as error:
            return NoResponse(self._timed_out() if isinstance(error, TimeoutError) else _reason(error))

    def _receive(self, connection: socket.socket, began: float, bodyless: bool) -> Outcome:
        received, first_byte = b"", None
        while True:
            remaining = began + self._timeout - self._now()
            if remaining <= 0:
                return NoResponse(self._timed_out())
            connection.settimeout(remaining)
            piece = connection.recv(65_536)
            first_byte = self._now() - began if first_byte is None else first_byte
            received += piece
            response = parse_response(received, closed=not piece, bodyless=bodyless)
            if response is not None:
                return replace(response, first_byte_seconds=first_byte, total_seconds=self._now() - began)

    def _timed_out(self) -> str:
        return f"no complete response within {self._timeout:g} s"


def _reason(error: OSError) -> str:
    return "connecting timed out" if isinstance(error, TimeoutError) else error.strerror or type(error).__name__
