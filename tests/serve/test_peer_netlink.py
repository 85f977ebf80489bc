"""The owner of a connection, on real sockets of this process, by netlink and by /proc/net/tcp."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.serve.peers.netlink import SockDiag, SocketOwners, kernel_socket, sock_diag, unix_peer
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


CLIENT, SERVER = ("127.0.0.1", 40_000), ("127.0.0.1", 7117)
ROW = "0: 0100007F:9C40 0100007F:1BCD {state} 0:0 0:0 0 {uid} 0 {inode} 1\n"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A /proc of a machine without user namespaces."""
    fake = tmp_path / "proc"
    for name in ("self", "sys/kernel", "net"):
        (fake / name).mkdir(parents=True)
    (fake / "sys/kernel/overflowuid").write_text("65534\n")
    (fake / "self/uid_map").write_text("         0          0 4294967295\n")
    return fake


def listed(proc: Path, *rows: str, table: str = "tcp") -> PeerCredentials | None:
    """Return the owner of the client according to a table with these rows."""
    (proc / "net" / table).write_text("head of the table\n" + "".join(rows))
    return SocketOwners(proc, netlink=False).owner_of(CLIENT, SERVER)


@pytest.mark.parametrize(
    ("uid_map", "uid", "expected"),
    [
        ("0 0 4294967295", 65534, 65534),
        ("0 100000 65536", 65534, None),
        ("0 100000 65536", 1001, 1001),
        ("0 0 65536", 65534, None),
        (None, 65534, 65534),
        (None, 1001, 1001),
    ],
)
def test_unmapped_id_has_no_owner(proc: Path, uid_map: str | None, uid: int, expected: int | None) -> None:
    """In a user namespace with mapped ids the overflow uid is no owner; without mapping it is the user nobody."""
    if uid_map is None:
        (proc / "self/uid_map").unlink()
    else:
        (proc / "self/uid_map").write_text(f"         {uid_map}\n")
    owner = PeerCredentials(expected, 4711) if expected is not None else None

    assert listed(proc, ROW.format(state="01", uid=uid, inode=4711)) == owner


@pytest.mark.parametrize("overflow", [None, "no number"])
def test_unreadable_overflow_uid(proc: Path, overflow: str | None) -> None:
    """Where the overflow uid cannot be read, every id counts as known."""
    (proc / "self/uid_map").write_text("0 100000 65536\n")
    (proc / "sys/kernel/overflowuid").unlink()
    if overflow is not None:
        (proc / "sys/kernel/overflowuid").write_text(overflow)

    assert listed(proc, ROW.format(state="01", uid=65534, inode=4711)) == PeerCredentials(65534, 4711)


@pytest.mark.parametrize("state", range(1, 13))
def test_states_of_a_caller(proc: Path, state: int) -> None:
    """A connection that is ESTABLISHED, FIN_WAIT1 or FIN_WAIT2 has an owner; one in another state has none."""
    found = listed(proc, ROW.format(state=f"{state:02X}", uid=1001, inode=4711))

    assert found == (PeerCredentials(1001, 4711) if state in (1, 4, 5) else None)


def test_socket_without_process_has_no_owner(proc: Path) -> None:
    """A socket that no process holds any more has inode 0 and no owner."""
    assert listed(proc, ROW.format(state="01", uid=1001, inode=0)) is None


def test_table_is_searched_for_both_addresses(proc: Path) -> None:
    """Only a row with the client's and the server's address is theirs; a malformed table names no owner."""
    wanted = ROW.format(state="01", uid=1001, inode=4711)
    others = [
        wanted.replace("9C40", "9C41"),
        wanted.replace("1BCD", "1BCE"),
        wanted.replace("0100007F:9", "0200007F:9"),
    ]

    assert listed(proc, *others, wanted) == PeerCredentials(1001, 4711)
    assert listed(proc, *others) is None
    assert listed(proc, "malformed\n", wanted) is None
    assert listed(proc, wanted.replace(" 1001 ", " x ")) is None


def test_ipv4_client_of_an_ipv6_socket(proc: Path) -> None:
    """A client that connects to IPv4 from an IPv6 socket is in the IPv6 table alone."""
    mapped = "0000000000000000FFFF0000"
    row = ROW.format(state="01", uid=1001, inode=4711).replace("0100007F", mapped + "0100007F")

    assert listed(proc, row, table="tcp6") == PeerCredentials(1001, 4711)


def test_no_table(proc: Path) -> None:
    """Without the kernel's tables there is no owner."""
    assert SocketOwners(proc, netlink=False).owner_of(CLIENT, SERVER) is None


@pytest.fixture
def diag() -> Iterator[tuple[SockDiag, socket.socket]]:
    """A look-up by netlink, and the kernel's end of it, where the test answers."""
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, kernel:
        ours.setblocking(False)
        kernel.setblocking(False)
        yield SockDiag(ours), kernel


def answer(sequence: int, uid: int = 1001, inode: int = 4711, state: int = 1, kind: int = 20) -> bytes:
    """Return an `inet_diag_msg` (linux/inet_diag.h), or another message of this kind."""
    header = struct.pack("=IHHII", 16 + 72, kind, 0, sequence, 0)
    return header + struct.pack("=4B48s3III", 2, state, 0, 0, b"\xee" * 48, 7, 7, 7, uid, inode)


def test_answer_of_the_kernel(diag: tuple[SockDiag, socket.socket]) -> None:
    """The answer to each look-up has its number; answers to earlier ones are skipped."""
    lookup, kernel = diag
    kernel.send(answer(1))
    assert lookup.find(CLIENT, SERVER) == (1001, 4711, 1)

    for late in (answer(1), answer(3, 1003), answer(2, 1002, 12, 5)):
        kernel.send(late)
    assert lookup.find(CLIENT, SERVER) == (1002, 12, 5)


def test_unknown_socket(diag: tuple[SockDiag, socket.socket]) -> None:
    """An error message, which is what the kernel sends for an unknown socket, is no answer."""
    lookup, kernel = diag
    kernel.send(answer(1, kind=2))

    assert lookup.find(CLIENT, SERVER) is None


def test_kernel_without_answer(diag: tuple[SockDiag, socket.socket]) -> None:
    """If the kernel does not answer, the look-up does not wait."""
    with pytest.raises(BlockingIOError):
        diag[0].find(CLIENT, SERVER)
    assert diag[0].works() is False


@pytest.mark.parametrize(
    ("reply", "expected"), [(answer(1), True), (answer(1, kind=2), False), (answer(1)[:20], False), (None, False)]
)
def test_kernel_without_tcp_diag(reply: bytes | None, expected: bool) -> None:
    """A kernel that does not know even a listening socket of this process is not asked again."""
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, kernel:
        ours.setblocking(False)
        if reply is not None:
            kernel.send(reply)
        found = sock_diag(ours)
        question = kernel.recv(4096)

        assert (found is not None) is expected
        assert (ours.fileno() >= 0) is expected
    ours_host, any_address = question[28:32], bytes(16)
    assert ours_host == b"\x7f\0\0\1"
    assert question[26:28] == b"\0\0"
    assert question[44:60] == any_address


def test_sandbox_without_netlink() -> None:
    """Without a netlink socket there is no look-up by netlink."""
    assert sock_diag(None) is None


def test_other_senders_are_refused() -> None:
    """Another netlink socket cannot send to the one that waits for the kernel's answers."""
    ours, other = kernel_socket(), kernel_socket()
    assert ours is not None
    assert other is not None
    with ours, other:
        with pytest.raises(OSError, match=r"refused|not permitted"):
            other.sendto(answer(1), (ours.getsockname()[0], 0))
        assert ours.getpeername() == (0, 0)
        assert not ours.getblocking()
        assert not ours.get_inheritable()
        with pytest.raises(BlockingIOError):
            ours.recv(4096)


@pytest.mark.parametrize(("host", "family", "size"), [("127.0.0.1", 2, 4), ("::1", 10, 16)])
def test_question_to_the_kernel(diag: tuple[SockDiag, socket.socket], host: str, family: int, size: int) -> None:
    """The request asks for exactly one socket, as linux/inet_diag.h says."""
    lookup, kernel = diag
    kernel.send(answer(1))
    lookup.find((host, 40_000), (host, 7117))
    address = (b"\x7f\0\0\1" if size == 4 else b"\0" * 15 + b"\1").ljust(16, b"\0")

    assert kernel.recv(4096) == b"".join(
        [
            struct.pack("=IHHII", 72, 20, 1, 1, 0),  # SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, the look-up's number
            struct.pack("=BBBBI", family, 6, 0, 0, 0xFFFFFFFF),  # TCP, in any state
            struct.pack(">HH", 40_000, 7117),
            address,
            address,
            struct.pack("=I8s", 0, b"\xff" * 8),  # any interface, no cookie
        ]
    )


def test_closed_look_up() -> None:
    """After `close` every look-up ends without an owner."""
    lookup = SocketOwners()
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as client,
    ):
        addresses = client.getsockname(), client.getpeername()
        assert lookup.owner_of(*addresses) is not None
        lookup.close()
        assert lookup.owner_of(*addresses) is None


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
    """The peer of a unix socket is the user that connected; a closed socket has none."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert unix_peer(ours) == PeerCredentials(os.geteuid(), 0)
    assert unix_peer(ours) is None
