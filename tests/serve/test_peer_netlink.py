"""The owner of a connection, on real sockets of this process, by netlink and by /proc/net/tcp."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.serve.peers.netlink import SocketOwners, unix_peer
from app.serve.peers.peer import PeerCredentials


@pytest.fixture(params=[True, False], ids=["netlink", "proc"])
def owners(request: pytest.FixtureRequest) -> Iterator[SocketOwners]:
    """A look-up by netlink, and one by /proc/net/tcp."""
    lookup = SocketOwners(netlink=request.param)
    yield lookup
    lookup.close()


@pytest.fixture(params=["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client's socket and the server's socket for it. The last client connects to IPv4 from an IPv6 socket."""
    server_host = "127.0.0.1" if "." in request.param else "::1"
    family = socket.AF_INET6 if ":" in server_host else socket.AF_INET
    with socket.create_server((server_host, 0), family=family) as listening:
        client = socket.socket(socket.AF_INET6 if ":" in request.param else socket.AF_INET)
        with client:
            client.connect((request.param, listening.getsockname()[1]))
            accepted, _ = listening.accept()
            with accepted:
                yield client, accepted


def owner(owners: SocketOwners, accepted: socket.socket) -> PeerCredentials | None:
    """Look up the owner of an accepted connection."""
    return owners.owner_of(accepted.getpeername()[:2], accepted.getsockname()[:2])


def test_owner_of_the_clients_socket(owners: SocketOwners, pair: tuple[socket.socket, socket.socket]) -> None:
    """The uid and the inode are those of the client's socket, in every address family."""
    client, accepted = pair

    assert owner(owners, accepted) == PeerCredentials(os.geteuid(), os.fstat(client.fileno()).st_ino)


def test_half_closed_connection_has_an_owner(owners: SocketOwners, pair: tuple[socket.socket, socket.socket]) -> None:
    """A client that has closed only its sending side is still found."""
    client, accepted = pair
    client.shutdown(socket.SHUT_WR)

    assert owner(owners, accepted) is not None


def test_closed_connection_has_no_owner(owners: SocketOwners, pair: tuple[socket.socket, socket.socket]) -> None:
    """The owner of a closed client socket is unknown, although the kernel still lists the socket."""
    client, accepted = pair
    client.close()

    assert owner(owners, accepted) is None


def test_listener_is_not_an_owner(owners: SocketOwners) -> None:
    """A listener on the client's port is not the owner, although the kernel falls back to it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert owners.owner_of(listener.getsockname(), ("127.0.0.1", 7117)) is None


def test_unestablished_connection_has_no_owner(owners: SocketOwners) -> None:
    """A connection that is not established has no owner: its client has only taken the port."""
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    clients = []
    try:
        for _ in range(8):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(full.getsockname())
            clients.append(client)
        waiting = [client for client in clients if not is_established(client)]
        assert waiting
        assert {owners.owner_of(client.getsockname(), full.getsockname()) for client in waiting} == {None}
    finally:
        for client in (*clients, full):
            client.close()


def is_established(client: socket.socket) -> bool:
    """Return whether TCP_INFO's first byte, the state, is ESTABLISHED."""
    return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1


@pytest.mark.parametrize(
    "client", [("203.0.113.7", 40_000), ("2001:db8::7", 40_000), ("no address", 1), ("127.0.0.1", 70_000)]
)
def test_remote_client_has_no_owner(owners: SocketOwners, client: tuple[str, int]) -> None:
    """A client of another machine, or an invalid address, has no owner."""
    assert owners.owner_of(client, ("127.0.0.1", 7117)) is None


def test_unmapped_id_has_no_owner(tmp_path: Path) -> None:
    """In a user namespace with mapped ids the overflow uid is no owner; without mapping it is the user nobody."""
    fake = tmp_path / "proc"
    for name in ("self", "sys/kernel", "net"):
        (fake / name).mkdir(parents=True)
    (fake / "sys/kernel/overflowuid").write_text("65534\n")
    row = "0: 0100007F:9C40 0100007F:1BCD 01 0:0 0:0 0 {} 0 4711 1\n"
    (fake / "net/tcp").write_text("head of the table\n" + row.format(65534))
    addresses = ("127.0.0.1", 40_000), ("127.0.0.1", 7117)

    (fake / "self/uid_map").write_text("         0          0 4294967295\n")
    assert SocketOwners(fake, netlink=False).owner_of(*addresses) == PeerCredentials(65534, 4711)
    (fake / "self/uid_map").write_text("         0     100000      65536\n")
    assert SocketOwners(fake, netlink=False).owner_of(*addresses) is None
    (fake / "net/tcp").write_text("head of the table\n" + row.format(1001))
    assert SocketOwners(fake, netlink=False).owner_of(*addresses) == PeerCredentials(1001, 4711)


def test_thousand_look_ups(pair: tuple[socket.socket, socket.socket]) -> None:
    """After a thousand look-ups, half of them without an owner, each result still belongs to its own look-up."""
    owners = SocketOwners()
    results = [
        answer
        for _ in range(500)
        for answer in (owners.owner_of(("127.0.0.1", 1), ("127.0.0.1", 2)), owner(owners, pair[1]))
    ]
    owners.close()

    assert set(results[::2]) == {None}
    assert len(set(results[1::2])) == 1
    assert results[1] is not None


def test_unix_socket() -> None:
    """The peer of a unix socket is the user that connected."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert unix_peer(ours) == PeerCredentials(os.geteuid(), 0)
