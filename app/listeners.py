"""The listeners: their sockets, which stay open from start to stop, and how many connections they accept."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import Callable, Mapping
from functools import partial

from .config.settings import Server, Settings
from .core.addresses import authority
from .core.errors import ConfigError
from .core.record import Record
from .dispatchers import CredentialDispatchers
from .serve.connection import Handle
from .serve.connection_table import connections_within
from .serve.listener import Listener
from .serve.peers.connections import TcpPeers, UnixPeers
from .serve.peers.netlink import SocketOwners
from .serve.peers.procfs import AttestInTurn, ProcFs
from .serve.turns import Turns
from .system.disk import SILENT, in_time
from .system.memory_limit import memory_limit
from .system.sockets import address_of, all_bound, bound, bound_unix

OTHER_FILES = 48
"""File descriptors kept for everything else than client connections: the cloud, files, the event loop itself."""

MOST_FOR_ORDERS = 64
"""The most connections to the admin socket. Other users may connect to an abstract socket; they are refused later."""


class OpsAndAdmin(Record, frozen=True):
    """The handlers of the listeners that serve no credentials to applications."""

    ops: Handle
    admin: Handle


class Listeners:
    """The listening sockets with their handlers, from `start` until `stop`."""

    def __init__(
        self,
        sockets: Mapping[str, socket.socket],
        settings: Settings,
        credentials: CredentialDispatchers,
        ops_and_admin: OpsAndAdmin,
    ) -> None:
        self._sockets = sockets
        self._admin_socket = settings.server.admin_socket
        self._owners = SocketOwners()
        self._attestation = AttestInTurn(ProcFs().holder_of)
        self._turns = Turns()
        self._most = min(settings.access.max_connections, allow_many_connections(memory_limit()) // len(sockets))
        self._listeners = [self._listener(name, sock, credentials, ops_and_admin) for name, sock in sockets.items()]

    def _listener(
        self, name: str, sock: socket.socket, credentials: CredentialDispatchers, ops_and_admin: OpsAndAdmin
    ) -> Listener:
        if name == "admin":
            most = min(self._most, MOST_FOR_ORDERS)
            return Listener(
                sock, ops_and_admin.admin, self._turns, peer_of=UnixPeers(self._attestation), max_connections=most
            )
        peer_of = TcpPeers(sock, self._owners, self._attestation)
        if name == "ops":
            return Listener(sock, ops_and_admin.ops, self._turns, peer_of=peer_of, max_connections=self._most)
        handle = credentials.dispatchers[name]
        return Listener(sock, handle, self._turns, peer_of=peer_of, max_connections=self._most, repeats=handle)

    async def start(self) -> None:
        """Start all listeners; return when every one of them answers."""
        for listener in self._listeners:
            await listener.start()

    async def stop(self) -> None:
        """Accept no more connections; let responses under way finish."""
        await asyncio.gather(*(listener.stop() for listener in self._listeners))
        self._owners.close()
        self._attestation.close()

    def urls(self) -> dict[str, str]:
        """Return the base URL of each listener, and the path of the admin socket."""
        found = {}
        for name, sock in self._sockets.items():
            if name == "admin":
                found[name] = str(self._admin_socket)
                continue
            host, port = address_of(sock)
            found[name] = f"http://{authority(host, port)}"
        return found


def bind(server: Server, hop_limit: int) -> dict[str, socket.socket]:
    """
    Return the listening sockets by listener.

    Raises ConfigError with a line for each address not bound, and NotThereYet if only addresses fail that are not there
    yet.
    """
    listening: dict[str, Callable[[], socket.socket]] = {
        "credentials": partial(bound, server.bind, "server.bind", hop_limit=hop_limit)
    }
    if server.metadata is not None:
        listening["metadata"] = partial(bound, server.metadata, "server.metadata", hop_limit=hop_limit)
    if server.ops is not None:
        listening["ops"] = partial(bound, server.ops, "server.ops")
    if server.admin_socket is not None:
        listening["admin"] = partial(_bound_in_time, server.admin_socket, "server.adminSocket")
    return all_bound(listening)


def _bound_in_time(path: str, place: str) -> socket.socket:
    """Return the unix socket. Raises ConfigError, also if the socket's file system hangs, and NotThereYet."""
    try:
        return in_time(bound_unix, path, place)
    except TimeoutError:
        raise ConfigError(f"{place}: {path}: {SILENT}", error_code="IDS-601") from None


def allow_many_connections(memory: int | None) -> int:
    """
    Raise the soft limit of open files to the hard one. Return the number of connections that files and memory permit.

    `memory`: the limit of the cgroup in bytes. Above this limit, clients that never read could get the sidecar killed.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # if a sandbox forbids this, the default must suffice
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = max(16, soft - OTHER_FILES) if soft != resource.RLIM_INFINITY else 1_000_000
    permitted = connections_within(memory)
    return files if permitted is None else min(files, permitted)
