"""Listening sockets. They are bound before everything else.

A port in use leads to one line and exit code 2. A start waits for an address that is not there yet.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import struct
import sys
from collections.abc import Callable, Mapping, Sequence

from ..core.addresses import authority, listen_address
from ..core.errors import ConfigError, Mistake, NotThereYet, Reason

BACKLOG = 2_048
"""The most connections that wait to be accepted. The kernel limits this number to net.core.somaxconn."""

BUFFER_BYTES = 4_096
"""Bytes of the send and the receive buffer of an accepted connection. The kernel doubles this value. Its defaults grow
to megabytes."""

UNREAD_MILLISECONDS = 10_000
"""Milliseconds for which the kernel keeps an unread response. Then the kernel resets the connection."""

_SIOCOUTQNSD = 0x894B

MakeSocket = Callable[[socket.AddressFamily, socket.SocketKind], socket.socket]

NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
"""Errors of a kernel without IPv6 (`ipv6.disable=1`), or without an interface that has it."""

_LATE = (errno.EADDRNOTAVAIL, errno.ENOENT)
"""
Errors of what another program may make a moment later: an address that DHCP configures, that another unit adds or that
IPv6 still checks for duplicates, and the directory of a unix socket. A port in use is none of them: systemd and kubelet
start the sidecar after the previous one has ended, so another program holds the port.
"""


def bound(address: str, place: str, *, hop_limit: int | None = None, make: MakeSocket = socket.socket) -> socket.socket:
    """
    Return a listening socket. `[::]` stands for all addresses of IPv4, and of IPv6 if the kernel has IPv6.

    `hop_limit`: the TTL of the socket's answers. Raises ConfigError if the address is not free, and NotThereYet if no
    interface has it.
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
        raise _cannot_listen(error, reason_of(error).at(f"{place}: cannot listen on {authority(host, port)}")) from None


def _cannot_listen(error: OSError, reason: Reason) -> ConfigError | NotThereYet:
    if error.errno in _LATE:
        return NotThereYet(reason, error_code="IDS-502", awaited="it")
    return ConfigError(reason, error_code="IDS-502")


def in_use(host: str, port: int) -> bool:
    """
    Return whether a program listens at host and port, so that `bound` would fail.

    Binds without listening, so that a sidecar that starts at the same moment still gets the address.
    """
    try:
        _bound_to(host, port, None, socket.socket).close()
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


def all_bound(listening: Mapping[str, Callable[[], socket.socket]]) -> dict[str, socket.socket]:
    """
    Return the socket of each listener. If one cannot listen, close all, and raise an error with a line for each.

    Raises NotThereYet if only addresses fail that are not there yet, else ConfigError.
    """
    sockets: dict[str, socket.socket] = {}
    failed: list[ConfigError | NotThereYet] = []
    for name, listen in listening.items():
        try:
            sockets[name] = listen()
        except (ConfigError, NotThereYet) as error:
            failed.append(error)
    if failed:
        for sock in sockets.values():
            sock.close()
        raise _together(failed)
    return sockets


def _together(errors: Sequence[ConfigError | NotThereYet]) -> ConfigError | NotThereYet:
    first = errors[0]
    if len(errors) == 1:
        return first
    mistakes = [error for error in errors if isinstance(error, ConfigError)]
    if not mistakes:
        return NotThereYet("\n".join(map(str, errors)), error_code=first.error_code, awaited="it")
    return ConfigError.of(Mistake(error.cause, error.error_code, error.cure) for error in errors)


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
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # independent of net.ipv6.bindv6only
    if hop_limit is not None:
        # Routed access: an answer with TTL 1 ends at the first router, so another host gets no answer from an exposed
        # port. An IPv6 socket that is bound to all addresses answers IPv4 clients, too.
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
    Bound the kernel's memory for each connection that `sock` will accept. A connection inherits these options.

    Version 2 of cgroups counts socket memory. Without the bound, 40 clients that never read got a sidecar with a limit
    of 64 MiB killed.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        # With this option, the kernel takes no further response until the earlier one has left.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MILLISECONDS)


def unsent_bytes(sock: socket.socket | None) -> int:
    """Return the number of bytes that wait in the kernel because the client's window is closed; 0 if unknown."""
    if sock is None:
        return 0
    try:
        return int.from_bytes(fcntl.ioctl(sock.fileno(), _SIOCOUTQNSD, b"\0\0\0\0"), sys.byteorder)
    except OSError:  # a unix socket, or a connection that is closed
        return 0


def reset_on_close(sock: socket.socket | None) -> None:
    """Make the close of `sock` drop all unsent bytes. Otherwise the kernel would keep them and go on sending."""
    if sock is None:
        return
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def bound_unix(path: str, place: str, *, make: MakeSocket = socket.socket) -> socket.socket:
    """
    Return a listening unix socket of mode 0600 at `path`, or in the abstract namespace at `@name`.

    The socket of a process that has ended is replaced, but not a socket that still answers. Raises ConfigError, and
    NotThereYet without the directory.
    """
    before = os.umask(0o177)
    try:
        with contextlib.ExitStack() as failing:
            sock = failing.enter_context(make(socket.AF_UNIX, socket.SOCK_STREAM))
            if not path.startswith("@"):
                _remove_leftover(path)
            sock.bind(unix_address(path))
            sock.listen(64)
            failing.pop_all()
    except OSError as error:
        raise _cannot_listen(error, _reason_of_path(error).at(f"{place}: cannot listen on {path}")) from None
    finally:
        os.umask(before)
    sock.setblocking(False)
    return sock


def _reason_of_path(error: OSError) -> Reason:
    """Return why a unix socket cannot be bound, with the cure."""
    match error.errno:
        case errno.EADDRINUSE:
            return Reason("it is in use", f"stop the other program, or choose another path; {_OLD_SIDECAR}")
        case errno.ENOENT:
            return Reason("its directory does not exist", "make the directory, or choose another path")
        case _:
            return Reason(str(error.strerror or error))


def unix_address(path: str) -> str:
    """Return `path` in the kernel's form. `@name` is a name in the abstract namespace, which needs no file system."""
    return "\0" + path[1:] if path.startswith("@") else path


def _remove_leftover(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return  # bind reports that the path is in use
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
    """Return the host and port to which `sock` is bound."""
    host, port = sock.getsockname()[:2]
    return str(host), int(port)


def reason_of(error: OSError) -> Reason:
    """Return why a socket cannot be bound, with the cure."""
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
    """Return the user at the other end of a unix socket, as the kernel noted (SO_PEERCRED); None if it is unknown."""
    try:
        _, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    except (OSError, AttributeError):
        return None
    return int(uid)
