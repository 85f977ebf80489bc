"""The process behind a socket, on this machine's /proc and on fake ones."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from pathlib import Path

import pytest

from app.serve.peers.peer import PeerCredentials, PeerProcess
from app.serve.peers.procfs import AT_ONCE, AttestInTurn, ProcFs

CALLER = PeerCredentials(1001, 4711)


def process(
    proc: Path, pid: int, *, uid: int = 1001, gid: int = 100, groups: str = "", sockets: tuple[int, ...] = ()
) -> None:
    """Add a process to a fake /proc."""
    home = proc / str(pid)
    (home / "fd").mkdir(parents=True)
    (home / "status").write_text(
        f"Name:\tx\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t0\t0\t0\t{gid}\nGroups:\t{groups} \n"
    )
    (home / "exe").symlink_to(f"/bin/program-{pid}")
    for number, inode in enumerate(sockets):
        (home / "fd" / str(number)).symlink_to(f"socket:[{inode}]")


def test_own_socket() -> None:
    """A socket of this process leads to this process."""
    with socket.socket() as sock:
        result = ProcFs().holder_of(PeerCredentials(os.geteuid(), os.fstat(sock.fileno()).st_ino))

    assert (result.pid, result.executable) == (os.getpid(), os.readlink("/proc/self/exe"))
    assert result.groups == {os.getegid(), *os.getgroups()}


def test_holder_is_found_by_inode(tmp_path: Path) -> None:
    """The holder is found by the socket's inode; its groups are the primary and the supplementary ones."""
    process(tmp_path, 10, sockets=(1, 2))
    process(tmp_path, 11, gid=200, groups="300 400", sockets=(3, 4711))

    assert ProcFs(tmp_path).holder_of(CALLER) == PeerProcess(11, "/bin/program-11", frozenset({200, 300, 400}))


def test_several_holders(tmp_path: Path) -> None:
    """Of several holders after a fork, only the groups that all of them have are certain."""
    process(tmp_path, 10, gid=100, groups="300", sockets=(4711,))
    process(tmp_path, 11, gid=200, groups="300", sockets=(4711,))

    assert ProcFs(tmp_path).holder_of(CALLER).groups == {300}


@pytest.mark.parametrize("missing", ["status", "everything"])
def test_holder_that_ends(tmp_path: Path, missing: str) -> None:
    """If the status of the holder cannot be read, its groups are unknown."""
    process(tmp_path, 10, sockets=(4711,))
    (tmp_path / "10/status").unlink()
    if missing == "everything":
        (tmp_path / "10/exe").unlink()

    assert ProcFs(tmp_path).holder_of(CALLER).groups is None


def test_invisible_holder(tmp_path: Path) -> None:
    """In a PID namespace of its own, nothing is known of processes whose sockets are not visible."""
    process(tmp_path, 10, groups="300")
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").touch()
    process(tmp_path, 1, uid=0)

    assert ProcFs(tmp_path).holder_of(CALLER) == PeerProcess()


def test_missing_proc(tmp_path: Path) -> None:
    """Without /proc the result is an unknown process."""
    assert ProcFs(tmp_path / "absent").holder_of(CALLER) == PeerProcess()


async def test_look_ups_of_one_user_do_not_delay_others() -> None:
    """Look-ups of one user run one after the other, and do not delay those of another user."""
    released, running, maximum = threading.Event(), 0, 0

    def attest(caller: PeerCredentials) -> PeerProcess:
        nonlocal running, maximum
        if caller.uid == 1001:
            running += 1
            maximum = max(maximum, running)
            released.wait(60)
            running -= 1
        return PeerProcess(caller.uid)

    in_turn = AttestInTurn(attest)
    waiting = [asyncio.create_task(in_turn(PeerCredentials(1001, number))) for number in range(10 * AT_ONCE)]
    await asyncio.sleep(0)
    other = await asyncio.wait_for(in_turn(PeerCredentials(1002, 1)), 30)
    released.set()
    await asyncio.gather(*waiting)
    in_turn.close()

    assert (other.pid, maximum) == (1002, 1)
