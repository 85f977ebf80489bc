"""The listening sockets of the configured addresses."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from app.config.settings import Server
from app.core.errors import ConfigError, NotThereYet
from app.listeners import allow_many_connections, bind
from app.system.sockets import bound, bound_unix

from .ports import unused_port

ANY_PORT = "127.0.0.1:0"


def hop_limit(listening: socket.socket) -> int:
    """Return the TTL of what a client of this listener receives."""
    with socket.create_connection(listening.getsockname()):
        listening.setblocking(True)
        accepted, _ = listening.accept()
        with accepted:
            return accepted.getsockopt(socket.IPPROTO_IP, socket.IP_TTL)


def test_hop_limit_of_each_listener() -> None:
    """The credentials and metadata listeners answer with the hop limit, the operations listener does not."""
    sockets = bind(Server(bind=ANY_PORT, metadata=ANY_PORT, ops=ANY_PORT, admin_socket=None), 3)
    try:
        found = {name: hop_limit(sock) for name, sock in sockets.items()}
    finally:
        for sock in sockets.values():
            sock.close()

    assert found.pop("ops") > 3
    assert found == {"credentials": 3, "metadata": 3}


def test_only_configured_listeners(tmp_path: Path) -> None:
    """A listener that is not configured has no socket."""
    path = str(tmp_path / "admin.sock")
    sockets = bind(Server(bind=ANY_PORT, metadata=None, ops=None, admin_socket=path), 1)
    names = {name: sock.getsockname() for name, sock in sockets.items()}
    for sock in sockets.values():
        sock.close()

    assert names.keys() == {"credentials", "admin"}
    assert names["admin"] == path


@pytest.mark.parametrize("key", ["bind", "metadata", "ops"])
def test_address_in_use(key: str) -> None:
    """The error for an address in use names its key; no other listener stays open."""
    first = f"127.0.0.1:{unused_port()}"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        server = Server(**{"bind": first, "metadata": None, "ops": None, "admin_socket": None, key: address})
        with pytest.raises(ConfigError, match=rf"^server\.{key}: cannot listen on {address}: the port is in use"):
            bind(server, 1)

        socket.create_server(("127.0.0.1", int(first.rpartition(":")[2]))).close()


def test_every_address_in_use_is_reported(tmp_path: Path) -> None:
    """One error has a line for each listener that cannot listen, and no listener stays open."""
    path = str(tmp_path / "no directory/admin.sock")
    first = f"127.0.0.1:{unused_port()}"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError) as caught:
            bind(Server(bind=address, metadata=first, ops=address, admin_socket=path), 1)

        socket.create_server(("127.0.0.1", int(first.rpartition(":")[2]))).close()

    in_use = (
        f"cannot listen on {address}: the port is in use; stop the other program, or choose another port; "
        "a sidecar that was stopped ends after shutdown.drainSeconds, or at once at a second SIGTERM"
    )
    assert [(str(line), line.error_code) for line in caught.value.mistakes] == [
        (f"server.bind: {in_use}", "IDS-502"),
        (f"server.ops: {in_use}", "IDS-502"),
        (
            f"server.adminSocket: cannot listen on {path}: its directory does not exist; make the directory, "
            "or choose another path",
            "IDS-502",
        ),
    ]


ABSENT = "203.0.113.1:0"
"""An address for documentation (RFC 5737), which no machine has."""

LATE: dict[str, dict[str, Any]] = {
    "bind": {"bind": ABSENT},
    "metadata": {"metadata": ABSENT},
    "ops": {"ops": ABSENT},
    "admin_socket": {"admin_socket": "/nowhere/admin.sock"},
}


@pytest.mark.parametrize("key", LATE)
def test_address_that_is_not_there_yet(key: str) -> None:
    """An address that another program may add, and a directory that it may make, are no configuration errors."""
    server = {"bind": ANY_PORT, "metadata": None, "ops": None, "admin_socket": None} | LATE[key]
    with pytest.raises(NotThereYet, match=rf"^server\.{Server.key(key)}: cannot listen on ") as caught:
        bind(Server(**server), 1)

    assert caught.value.error_code == "IDS-502"
    assert caught.value.cure


def test_every_late_address_is_named() -> None:
    """One error has a line for each address that is not there yet."""
    with pytest.raises(NotThereYet) as caught:
        bind(Server(bind=ABSENT, metadata=ABSENT, ops=None, admin_socket="/nowhere/admin.sock"), 1)

    places = [line.partition(": cannot listen on ")[0] for line in str(caught.value).splitlines()]
    assert places == ["server.bind", "server.metadata", "server.adminSocket"]


def test_connections_fit_into_files_and_memory() -> None:
    """The number of connections is that of the open files, or less under a memory limit."""
    files = allow_many_connections(None)

    assert allow_many_connections(64 * 1_048_576) == min(files, 1_024)
    assert allow_many_connections(1 << 50) == files


def no_descriptor_left(_family: socket.AddressFamily, _kind: socket.SocketKind) -> socket.socket:
    """Fail as the kernel does at the limit of open files."""
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.mark.parametrize(("listen", "address"), [(bound, "127.0.0.1:7117"), (bound_unix, "/run/admin.sock")])
def test_no_descriptor_is_left(listen: Any, address: str) -> None:
    """Without a descriptor for its socket, no listener starts; the message names key, address and cause."""
    with pytest.raises(ConfigError, match=f"server.x: cannot listen on {address}: Too many open files") as caught:
        listen(address, "server.x", make=no_descriptor_left)

    assert caught.value.error_code == "IDS-502"
