"""One GET to a listener of this machine: bounded, whatever the program there sends."""

from __future__ import annotations

import socket

import pytest

from app.core.errors import Unreachable
from app.system.local_http import get, received


def pair(sent: bytes) -> tuple[socket.socket, socket.socket]:
    """Return both ends of a connection, of which one has sent these bytes."""
    ours, theirs = socket.socketpair()
    theirs.sendall(sent)
    return ours, theirs


def test_an_answer_ends_with_the_connection() -> None:
    """All bytes until the other side closes."""
    ours, theirs = pair(b"answer")
    theirs.close()
    with ours:
        assert received(ours, 10.0) == b"answer"


def test_an_answer_without_an_end() -> None:
    """The time limit is for the whole answer, whatever came before it."""
    ours, theirs = pair(b"H")
    with ours, theirs, pytest.raises(TimeoutError):
        received(ours, 0.05)


def test_an_answer_of_any_size() -> None:
    """A longer answer than allowed is not kept."""
    ours, theirs = pair(b"x" * 11)
    with ours, theirs, pytest.raises(ValueError, match="too long"):
        received(ours, 10.0, 10)


def test_a_port_that_is_none() -> None:
    """A port above 65535 is a mistake of the configuration, and no crash."""
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:99999: not a port"):
        get("127.0.0.1", 99999, "/livez")
