"""The peers of TCP and unix connections: the questions to the kernel about a connection, and their time."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address

from . import netlink
from .netlink import SocketOwners
from .peer import Attest, Peer, PeerCredentials


class TcpPeers:
    """Makes the peer of each connection to one listening socket. The kernel is asked at the first use of the peer."""

    def __init__(self, listening: socket.socket, owners: SocketOwners, attest: Attest) -> None:
        host, port = listening.getsockname()[:2]
        # A connection has the local address of its listening socket, unless the socket listens on all addresses.
        self._server = None if ip_address(host).is_unspecified else (host, port)
        self._owners = owners
        self._attest = attest

    def __call__(self, transport: asyncio.Transport) -> Peer:
        """Return the peer of a connection."""
        client = transport.get_extra_info("peername")

        def identify() -> PeerCredentials | None:
            server = self._server or transport.get_extra_info("sockname")
            return self._owners.owner_of(client[:2], server[:2]) if client and server else None

        return Peer(identify, self._attest, host=client[0] if client else "")


class UnixPeers:
    """Makes the peer of each connection to a unix socket."""

    def __init__(self, attest: Attest) -> None:
        self._attest = attest

    def __call__(self, transport: asyncio.Transport) -> Peer:
        """Return the peer of a connection."""
        return Peer(lambda: netlink.unix_peer(transport.get_extra_info("socket")), self._attest)
