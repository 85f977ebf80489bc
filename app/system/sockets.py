"""Listening sockets, bound before everything else, so that a port in use is one line and exit code 2."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import struct
import sys
from collections.abc import Callable, Mapping

from ..core.addresses import authority, listen_address
from ..core.errors import ConfigError, Mistake, Reason

BACKLOG = 2_048
"""Connections that wait to be accepted; the kernel limits it to net.core.somaxconn."""

BUFFER_BYTES = 4_096
"""Send and receive buffer of an accepted connection; the kernel doubles it. The kernel's defaults grow to megabytes."""

UNREAD_MILLISECONDS = 10_000
"""How long the kernel keeps a response that the client does not read, after which it resets the connection."""

_SIOCOUTQNSD = 0x894B

MakeSocket = Callable[[socket.AddressFamily, socket.SocketKind], socket.socket]

NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
"""The kernel has no IPv6 (`ipv6.disable=1`), or no interface with it."""


def bound(address: str, place: str, *, hop_limit: int | None = None, make: MakeSocket = socket.socket) -> socket.socket:
    """
    Return a listening socket. `[::]` is every address, of IPv4 and IPv6, as far as the kernel has both.

    `hop_limit`: the TTL of its answers. Raises ConfigError if the address is not free.
    """
    host, port = listen_address(address, place)
    try:
        try:
            return _listening(host, port, hop_limit, make)
        except OSError as error:
            if host != "::" or error.errno not in NO_IPV6:
                raise
            return _listening("0.0.0.0", port, hop_limit, make)  # noqa: S104 - what [::] means on such a kernel
    except OSError as error:
        raise ConfigError(
            _reason(error).at(f"{place}: cannot listen on {authority(host, port)}"), error_code="IDS-502"
        ) from None


def in_use(host: str, port: int) -> bool:
    """
    Return whether a program listens at host and port, so that `bound` would fail.

    Binds without listening: a sidecar that starts at the same moment gets the address nevertheless.
    """
    try:
        _bound_to(host, port, None, socket.socket).close()
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


def all_bound(listening: Mapping[str, Callable[[], socket.socket]]) -> dict[str, socket.socket]:
    """Return the socket of each listener, or none: raises ConfigError with a line for each that cannot listen."""
    sockets: dict[str, socket.socket] = {}
    mistakes: list[Mistake] = []
    for name, listen in listening.items():
        try:
            sockets[name] = listen()
        except ConfigError as error:
            mistakes += error.mistakes
    if mistakes:
        for sock in sockets.values():
            sock.close()
        raise ConfigError.of(mistakes)
    return sockets


def _listening(host: str, port: int, hop_limit: int | None, make: MakeSocket) -> socket.socket:
    sock = _bound_to(host, port, hop_limit, make)
    try:
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def _bound_to(host: str, port: int, hop_limit: int | None, make: MakeSocket) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = make(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # whatever net.ipv6.bindv6only says
    if hop_limit is not None:
        # Routed access: an answer with TTL 1 ends at the first router, so a port that is exposed to another host gives
        # it no answer. An IPv6 socket that is bound to all addresses answers IPv4 clients, too.
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hop_limit)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hop_limit)
    _limit_buffers(sock)
    try:
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def _limit_buffers(sock: socket.socket) -> None:
    """
    Bound the kernel's memory for each connection that `sock` will accept; it inherits the options.

    A cgroup of the kernel's version 2 counts socket memory: 40 clients that never read had a sidecar killed at 64 MiB.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        # The kernel takes no further response while an earlier one has not left.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MILLISECONDS)


def unsent_bytes(sock: socket.socket | None) -> int:
    """Return the bytes in the kernel that have not left because the client's window is closed; 0 where not known."""
    if sock is None:
        return 0
    try:
        return int.from_bytes(fcntl.ioctl(sock.fileno(), _SIOCOUTQNSD, b"\0\0\0\0"), sys.byteorder)
    except OSError:  # a unix socket, or a connection that is closed
        return 0


def reset_on_close(sock: socket.socket | None) -> None:
    """Let closing `sock` drop what was not sent. The kernel would keep it, and go on sending."""
    if sock is None:
        return
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def bound_unix(path: str, place: str) -> socket.socket:
    """
    Return a listening unix socket of mode 0600 at `path`, or in the abstract namespace at `@name`.

    The socket of a process that is gone is replaced, one that still answers is not. Raises ConfigError.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        if not path.startswith("@"):
            _remove_leftover(path)
        sock.bind(unix_address(path))
        sock.listen(64)
    except OSError as error:
        sock.close()
        taken = error.errno == errno.EADDRINUSE
        raise ConfigError(
            f"{place}: cannot listen on {path}: {'it is in use' if taken else error.strerror}",
            cure=f"stop the other program, or choose another path; {_OLD_SIDECAR}" if taken else "",
            error_code="IDS-502",
        ) from None
    finally:
        os.umask(before)
    sock.setblocking(False)
    return sock


def unix_address(path: str) -> str:
    """Return `path` as the kernel reads it: `@name` is in its abstract namespace, which needs no file system."""
    return "\0" + path[1:] if path.startswith("@") else path


def _remove_leftover(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return  # bind reports that it is in use
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a listener with a full backlog that accepts nothing would block for ever
        try:
            probe.connect(path)
        except BlockingIOError:
            return
        except ConnectionRefusedError:
            os.unlink(path)


_OLD_SIDECAR = "a sidecar that was stopped ends after shutdown.drainSeconds, or at once at a second SIGTERM"
"""The other program is often the previous sidecar, which still answers after its SIGTERM."""


def address_of(sock: socket.socket) -> tuple[str, int]:
    """Return host and port that `sock` is bound to."""
    host, port = sock.getsockname()[:2]
    return str(host), int(port)


def _reason(error: OSError) -> Reason:
    match error.errno:
        case 97:
            return Reason("this machine has no IPv6", "use an IPv4 address")
        case 98:
            return Reason("the port is in use", f"stop the other program, or choose another port; {_OLD_SIDECAR}")
        case 99:
            return Reason("this machine has no such address", "add the address (ip address add …) or choose another")
        case 13:
            return Reason("not permitted; ports below 1024 need CAP_NET_BIND_SERVICE")
        case _:
            return Reason(str(error.strerror))


def is_ours(host: str) -> bool:
    """Return whether `host`, an IPv4 address, belongs to an interface of this network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


_UCRED = struct.Struct("=iII")
"""pid, uid and gid (struct ucred of the kernel)."""


def peer_uid(connection: socket.socket) -> int | None:
    """Return the user at the other end of a unix socket, as the kernel noted (SO_PEERCRED); None where it does not."""
    try:
        _, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    except (OSError, AttributeError):
        return None
    return int(uid)
