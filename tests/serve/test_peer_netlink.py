"""Whose connection it is, on real sockets of this process, by netlink and by /proc/net/tcp alike."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.serve.peers.netlink import SocketOwners, unix_peer
from app.serve.peers.peer import PeerCredentials


@pytest.fixture(params=[True, False], ids=["netlink", "proc"])
def peers(request: pytest.FixtureRequest) -> Iterator[SocketOwners]:
    made = SocketOwners(netlink=request.param)
    yield made
    made.close()


@pytest.fixture(params=["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client's socket and the server's for it; the last client talks IPv4 from an IPv6 socket."""
    server_host = "127.0.0.1" if "." in request.param else "::1"
    family = socket.AF_INET6 if ":" in server_host else socket.AF_INET
    with socket.create_server((server_host, 0), family=family) as listening:
        client = socket.socket(socket.AF_INET6 if ":" in request.param else socket.AF_INET)
        with client:
            client.connect((request.param, listening.getsockname()[1]))
            accepted, _ = listening.accept()
            with accepted:
                yield client, accepted


def ask(peers: SocketOwners, accepted: socket.socket) -> PeerCredentials | None:
    return peers.owner_of(accepted.getpeername()[:2], accepted.getsockname()[:2])


def test_the_owner_of_the_clients_end(peers: SocketOwners, pair: tuple[socket.socket, socket.socket]) -> None:
    """The uid and the inode are those of the client's own socket, whatever family it is of."""
    client, accepted = pair

    assert ask(peers, accepted) == PeerCredentials(os.geteuid(), os.fstat(client.fileno()).st_ino)


def test_half_closed_is_still_a_caller(peers: SocketOwners, pair: tuple[socket.socket, socket.socket]) -> None:
    """A client that has said all it has to say is still there."""
    client, accepted = pair
    client.shutdown(socket.SHUT_WR)

    assert ask(peers, accepted) is not None


def test_gone_is_nobody(peers: SocketOwners, pair: tuple[socket.socket, socket.socket]) -> None:
    """When the client's socket is closed nobody can say whose it was, though the kernel still knows of it."""
    client, accepted = pair
    client.close()

    assert ask(peers, accepted) is None


def test_a_listener_on_the_port_is_nobody(peers: SocketOwners) -> None:
    """The kernel falls back to a server that listens on the client's port: that one has not asked us anything."""
    with socket.create_server(("127.0.0.1", 0)) as impostor:
        assert peers.owner_of(impostor.getsockname(), ("127.0.0.1", 7117)) is None


def test_somebody_who_is_only_trying_is_nobody(peers: SocketOwners) -> None:
    """A connection that is not established is none: its owner has merely taken the port."""
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    crowd = []
    try:
        for _ in range(8):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(full.getsockname())
            crowd.append(client)
        waiting = [client for client in crowd if not established(client)]
        assert waiting
        assert [peers.owner_of(client.getsockname(), full.getsockname()) for client in waiting] == [None] * len(waiting)
    finally:
        for client in (*crowd, full):
            client.close()


def established(client: socket.socket) -> bool:
    """By TCP_INFO's first byte, the state."""
    return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1


@pytest.mark.parametrize(
    "client", [("203.0.113.7", 40_000), ("2001:db8::7", 40_000), ("no address", 1), ("127.0.0.1", 70_000)]
)
def test_from_elsewhere_is_nobody(peers: SocketOwners, client: tuple[str, int]) -> None:
    """A client of another machine is in no table of ours; what is no address is nobody either."""
    assert peers.owner_of(client, ("127.0.0.1", 7117)) is None


def test_an_id_outside_our_user_namespace_is_nobody(tmp_path: Path) -> None:
    """Where ids are mapped, the overflow uid may be anybody; where all are known, it is the user nobody."""
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


def test_a_thousand_questions_leave_nothing_behind(pair: tuple[socket.socket, socket.socket]) -> None:
    """Answers belong to their questions, also after some that found nobody."""
    peers = SocketOwners()
    found = [
        answer
        for _ in range(500)
        for answer in (peers.owner_of(("127.0.0.1", 1), ("127.0.0.1", 2)), ask(peers, pair[1]))
    ]
    peers.close()

    assert set(found[::2]) == {None}
    assert len(set(found[1::2])) == 1
    assert found[1] is not None


def test_a_unix_socket() -> None:
    """Of a unix connection the kernel notes whose it is when it is made."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert unix_peer(ours) == PeerCredentials(os.geteuid(), 0)
