"""The peers of TCP and unix connections."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import pytest

from app.serve.peers.connections import TcpPeers, UnixPeers
from app.serve.peers.netlink import Address, SocketOwners
from app.serve.peers.peer import PeerCredentials, PeerProcess

CALLER = PeerCredentials(1001, 4711)
PROCESS = PeerProcess(7)


class RecordedLookUps(SocketOwners):
    """Look-ups that the kernel does not see; each finds the same owner."""

    def __init__(self) -> None:
        self.asked: list[tuple[Address, Address]] = []

    def owner_of(self, client: Address, server: Address) -> PeerCredentials | None:
        """Return the owner."""
        self.asked.append((client, server))
        return CALLER


async def attest(_caller: PeerCredentials) -> PeerProcess:
    """Return the process."""
    return PROCESS


def listening(host: str) -> socket.socket:
    """Return a listening socket on any port of `host`."""
    return socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("extra", [{}, {"sockname": ("192.0.2.1", 1)}])
async def test_tcp_peer(host: str, extra: dict[str, Any]) -> None:
    """The owner is looked up at the first access, by the client's address and the listener's."""
    owners = RecordedLookUps()
    with listening(host) as sock:
        peers = TcpPeers(sock, owners, attest)
        server = sock.getsockname()[:2]
    client = (host, 40_000, 0, 0) if ":" in host else (host, 40_000)
    peer = peers(asyncio.Transport({"peername": client, **extra}))

    assert peer.host == host
    assert owners.asked == []
    assert peer.credentials == CALLER
    assert owners.asked == [((host, 40_000), server)]
    await peer.attest_process()
    assert peer.process is PROCESS


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_listener_on_every_address(host: str) -> None:
    """A connection to a listener on every address is looked up by the connection's own local address."""
    owners = RecordedLookUps()
    with listening(host) as sock:
        peers = TcpPeers(sock, owners, attest)
    peer = peers(asyncio.Transport({"peername": ("::1", 40_000, 0, 0), "sockname": ("::1", 7117, 0, 0)}))

    assert peer.credentials == CALLER
    assert owners.asked == [(("::1", 40_000), ("::1", 7117))]


@pytest.mark.parametrize("extra", [{}, {"peername": ("127.0.0.1", 1)}, {"sockname": ("127.0.0.1", 1)}])
def test_connection_without_addresses(extra: dict[str, Any]) -> None:
    """A connection that has no addresses any more has an unknown peer."""
    owners = RecordedLookUps()
    with listening("0.0.0.0") as sock:
        peer = TcpPeers(sock, owners, attest)(asyncio.Transport(extra))

    assert peer.credentials is None
    assert peer.host == ("127.0.0.1" if "peername" in extra else "")
    assert owners.asked == []


async def test_unix_peer() -> None:
    """The peer of a unix connection is the user that connected, without an address."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        peer = UnixPeers(attest)(asyncio.Transport({"socket": ours}))

        assert peer.credentials == PeerCredentials(os.geteuid(), 0)
    assert peer.host == ""
    await peer.attest_process()
    assert peer.process is PROCESS
