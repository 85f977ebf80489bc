"""
One GET to a listener on this machine, for commands. Blocks.

Any local user may listen at the port of a sidecar that does not run. The answer is therefore bounded in time and size.
"""

from __future__ import annotations

import errno
import re
import socket
import time

from ..core.errors import Unreachable

SECONDS = 3.0
"""Seconds for a whole request, from the connection to the end of the answer."""

LONGEST = 16 * 1_048_576
"""The most bytes of an answer. The status of a thousand profiles has 2 MiB."""

IS_IT_RUNNING = "check that the sidecar is running"
WHO_LISTENS = "check which program listens there"


def get(host: str, port: int, path: str) -> tuple[int, str]:
    """Return status and body. Raises Unreachable: IDS-503 if there is no answer in time, IDS-502 if it is not HTTP."""
    authority = f"[{host}]" if ":" in host else host
    request = f"GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n"
    try:
        response = _exchange(host, port, request.encode())
    except OverflowError:
        raise Unreachable(f"{host}:{port}: not a port", error_code="IDS-502") from None
    except OSError as error:
        reason = "no answer in time" if isinstance(error, TimeoutError) else error.strerror or error
        raise Unreachable(f"{host}:{port}: {reason}", cure=IS_IT_RUNNING, error_code="IDS-503") from None
    except ValueError as error:
        raise Unreachable(f"{host}:{port}: {error}", cure=WHO_LISTENS, error_code="IDS-502") from None
    match = re.match(rb"HTTP/1\.[01] ([0-9]{3}).*?\r\n\r\n(.*)", response, re.DOTALL)
    if match is None:
        raise Unreachable(f"{host}:{port}: not an HTTP response", cure=WHO_LISTENS, error_code="IDS-502")
    return int(match[1]), match[2].decode(errors="replace")


def received(connection: socket.socket, seconds: float, longest: int = LONGEST) -> bytes:
    """
    Return all bytes that the other side sends until it closes the connection.

    Raises TimeoutError after `seconds` in all, even if bytes still arrive, and ValueError above `longest` bytes.
    """
    end = time.monotonic() + seconds
    raw = bytearray()
    while True:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        part = connection.recv(65_536)
        if not part:
            return bytes(raw)
        raw += part
        if len(raw) > longest:
            raise ValueError("the answer is too long")


def _exchange(host: str, port: int, request: bytes) -> bytes:
    try:
        return _exchange_at(host, port, request)
    except OSError as error:
        # A network namespace may have no IPv4 at all. A sidecar that listens at [::] is then reachable at ::1.
        if host != "127.0.0.1" or error.errno != errno.ENETUNREACH:
            raise
        return _exchange_at("::1", port, request)


def _exchange_at(host: str, port: int, request: bytes) -> bytes:
    # Not socket.create_connection, which imports the IDNA codec even for a numeric address.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(SECONDS)
        connection.connect((host, port))
        connection.sendall(request)
        return received(connection, SECONDS)
