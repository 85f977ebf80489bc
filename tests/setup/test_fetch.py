"""app/setup/fetch.py: the time limit for a whole answer."""

from __future__ import annotations

import socket
import threading

import pytest

from app.core.errors import Unreachable
from app.setup.fetch import json_object


def test_a_server_that_drips_ends_with_the_limit() -> None:
    """A server that sends a byte now and then does not extend the time for the whole answer."""
    ended = threading.Event()

    def drip() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            while not ended.wait(0.02):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/keys"
        try:
            with pytest.raises(Unreachable) as caught:
                json_object(url, None, seconds=1)
        finally:
            ended.set()
            thread.join()

    assert str(caught.value) == f"{url}: no whole answer within 1 s"
