"""The owner of the client's end of a connection from this machine, as the kernel reports it (Linux), without privilege.

The uid comes from `sock_diag` (netlink), by an exact look-up of the client's own socket. The time of the look-up does
not grow with the number of sockets (`make bench BENCH="--only callers"`). The time to read /proc/net/tcp does, so
that file is used only where netlink is not allowed.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from ...system.sockets import peer_uid
from .peer import PeerCredentials

_NETLINK, _SOCK_DIAG = 16, 4
_BY_FAMILY, _REQUEST = 20, 1
_HEADER = struct.Struct("=IHHII")
_QUESTION = struct.Struct("=IHHII BBBBI 2s2s16s16sIQ")
"""`nlmsghdr` and `inet_diag_req_v2` (linux/inet_diag.h): the two ports and addresses are in network byte order."""
_OWNER = struct.Struct("=II")
_OWNER_OFFSET = _HEADER.size + 4 + 48 + 12
"""The offset of uid and inode in `inet_diag_msg` (linux/inet_diag.h): after 4 bytes, the id and three counters."""

_ALIVE = frozenset({1, 4, 5})
"""The states of a caller's socket: ESTABLISHED, and FIN_WAIT1 and FIN_WAIT2 for a client that has sent everything.

A socket in another state is no caller: SYN_SENT is a process that took over the port, LISTEN is a server that the
look-up falls back to, and a socket in TIME_WAIT has no owner.
"""

Address = tuple[str, int]
Found = tuple[int, int, int]
"""A socket's uid, inode and state."""


class SocketOwners:
    """
    Finds the owner of the client's end of a TCP connection by its two addresses.

    `owner_of` does not wait and does not raise. It returns None for a client of another machine or network namespace,
    and for a client that has closed its socket. It also returns None if the kernel's answer is not certain. A decision
    by the owner must then be a refusal.
    """

    def __init__(self, proc: Path = Path("/proc"), *, netlink: bool = True) -> None:
        self._proc = proc
        self._overflow = _overflow_uid(proc)
        self._sock_diag = sock_diag(kernel_socket()) if netlink else None

    def owner_of(self, client: Address, server: Address) -> PeerCredentials | None:
        """Return the owner of the client's end of the connection from `client` to `server`."""
        try:
            found = (self._sock_diag.find if self._sock_diag is not None else self._read)(client, server)
        except (OSError, ValueError, IndexError, OverflowError, struct.error):
            return None
        if found is None:
            return None
        uid, inode, state = found
        # A socket without an inode is held by no process, so its uid means nothing. The kernel reports an id that this
        # user namespace does not know as the overflow uid, which stands for no particular user.
        return PeerCredentials(uid, inode) if inode and state in _ALIVE and uid != self._overflow else None

    def close(self) -> None:
        if self._sock_diag is not None:
            self._sock_diag.close()

    def _read(self, client: Address, server: Address) -> Found | None:
        """Return the socket from /proc/net/tcp and tcp6. Takes some milliseconds, and longer with every open socket."""
        wanted = {(_in_table(one), _in_table(other)) for one, other in _spellings(client, server)}
        for name in ("tcp", "tcp6"):
            # Without IPv6, tcp6 does not exist.
            with contextlib.suppress(FileNotFoundError), open(self._proc / "net" / name) as table:
                for line in table:
                    columns = line.split()
                    if (columns[1], columns[2]) in wanted:
                        return int(columns[7]), int(columns[9]), int(columns[3], 16)
        return None


class SockDiag:
    """Asks the kernel about one socket at a time, over a netlink socket that does not block. Raises OSError."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._sequence = 0

    def works(self) -> bool:
        """Return whether the kernel finds a socket of this process. Without the module `tcp_diag`, it finds none."""
        with socket.socket() as ours:
            try:
                ours.bind(("127.0.0.1", 0))
                ours.listen()
                return self.find(ours.getsockname(), ("0.0.0.0", 0)) is not None  # noqa: S104 - the unspecified address
            except (OSError, struct.error):
                return False

    def find(self, client: Address, server: Address) -> Found | None:
        """Return the kernel's data about the socket with these addresses; None if there is no such socket."""
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        self._socket.send(_question(client, server, self._sequence))
        while True:  # answers to earlier questions are skipped
            answer = self._socket.recv(4096)
            _, kind, _, sequence, _ = _HEADER.unpack_from(answer)
            if sequence == self._sequence:
                break
        if kind != _BY_FAMILY:
            return None
        uid, inode = _OWNER.unpack_from(answer, _OWNER_OFFSET)
        return uid, inode, answer[_HEADER.size + 1]

    def close(self) -> None:
        self._socket.close()


def unix_peer(connection: socket.socket) -> PeerCredentials | None:
    """Return the owner of a unix connection, as the kernel noted it at connect (SO_PEERCRED); None if it is unknown."""
    uid = peer_uid(connection)
    return PeerCredentials(uid, 0) if uid is not None else None


def kernel_socket() -> socket.socket | None:
    """Return a netlink socket to which only the kernel can send; None if a sandbox forbids it, or not on Linux."""
    try:
        found = socket.socket(_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, _SOCK_DIAG)
        found.connect((0, 0))  # 0 is the kernel: another process cannot send to this socket from now on
    except (OSError, AttributeError):
        return None
    return found


def sock_diag(sock: socket.socket | None) -> SockDiag | None:
    """Return a look-up over `sock`. If the kernel gives no answers, close `sock` and return None."""
    if sock is None:
        return None
    found = SockDiag(sock)
    if found.works():
        return found
    found.close()
    return None


def _question(client: Address, server: Address, sequence: int) -> bytes:
    """Return a request for the one socket with these addresses, as its owner sees them."""
    family = socket.AF_INET6 if ":" in client[0] else socket.AF_INET
    return _QUESTION.pack(
        *(_QUESTION.size, _BY_FAMILY, _REQUEST, sequence, 0),
        *(family, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF),
        client[1].to_bytes(2, "big"),
        server[1].to_bytes(2, "big"),
        socket.inet_pton(family, client[0]),
        socket.inet_pton(family, server[0]),
        0,  # any interface
        0xFFFFFFFF_FFFFFFFF,  # no cookie
    )


def _spellings(client: Address, server: Address) -> Iterator[tuple[Address, Address]]:
    """Yield the two addresses as they are, and as IPv4-mapped ones of an IPv6 socket."""
    yield client, server
    if ":" not in client[0]:
        yield (f"::ffff:{client[0]}", client[1]), (f"::ffff:{server[0]}", server[1])


def _in_table(address: Address) -> str:
    """Return `address` as /proc/net/tcp writes it: 32-bit words in the machine's order, in hexadecimal."""
    host, port = address
    raw = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    words = "".join(f"{word:08X}" for word in struct.unpack(f"={len(raw) // 4}I", raw))
    return f"{words}:{port:04X}"


def _overflow_uid(proc: Path) -> int | None:
    """Return the id that the kernel reports for ids unknown to this user namespace; None if the namespace knows all."""
    try:
        if (proc / "self/uid_map").read_text().split() == ["0", "0", "4294967295"]:
            return None
        return int((proc / "sys/kernel/overflowuid").read_text())
    except (OSError, ValueError):
        return None
