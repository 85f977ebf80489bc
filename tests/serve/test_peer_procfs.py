"""What can be said of the process behind a socket, on this machine's /proc and on made-up ones."""

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
    """Adds a process to a made-up /proc."""
    home = proc / str(pid)
    (home / "fd").mkdir(parents=True)
    (home / "status").write_text(
        f"Name:\tx\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t0\t0\t0\t{gid}\nGroups:\t{groups} \n"
    )
    (home / "exe").symlink_to(f"/bin/program-{pid}")
    for number, inode in enumerate(sockets):
        (home / "fd" / str(number)).symlink_to(f"socket:[{inode}]")


def test_our_own() -> None:
    """A socket of this process leads to it."""
    with socket.socket() as ours:
        found = ProcFs().holder_of(PeerCredentials(os.geteuid(), os.fstat(ours.fileno()).st_ino))

    assert (found.pid, found.executable) == (os.getpid(), os.readlink("/proc/self/exe"))
    assert found.groups == {os.getegid(), *os.getgroups()}


def test_the_holder_of_the_socket(tmp_path: Path) -> None:
    """It is found by the socket's inode, not by its user; its groups are its own and those it is in besides."""
    process(tmp_path, 10, sockets=(1, 2))
    process(tmp_path, 11, gid=200, groups="300 400", sockets=(3, 4711))

    assert ProcFs(tmp_path).holder_of(CALLER) == PeerProcess(11, "/bin/program-11", frozenset({200, 300, 400}))


def test_several_holders(tmp_path: Path) -> None:
    """After a fork only a group that all of them have is certain."""
    process(tmp_path, 10, gid=100, groups="300", sockets=(4711,))
    process(tmp_path, 11, gid=200, groups="300", sockets=(4711,))

    assert ProcFs(tmp_path).holder_of(CALLER).groups == {300}


@pytest.mark.parametrize("gone", ["status", "everything"])
def test_a_holder_that_goes(tmp_path: Path, gone: str) -> None:
    """What cannot be read is not guessed."""
    process(tmp_path, 10, sockets=(4711,))
    (tmp_path / "10/status").unlink()
    if gone == "everything":
        (tmp_path / "10/exe").unlink()

    assert ProcFs(tmp_path).holder_of(CALLER).groups is None


def test_nobody_in_sight(tmp_path: Path) -> None:
    """In a PID namespace of our own nothing is said of processes whose sockets are not shown."""
    process(tmp_path, 10, groups="300")
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").touch()
    process(tmp_path, 1, uid=0)

    assert ProcFs(tmp_path).holder_of(CALLER) == PeerProcess()


def test_no_proc(tmp_path: Path) -> None:
    """Without /proc nothing is known, and nothing breaks."""
    assert ProcFs(tmp_path / "absent").holder_of(CALLER) == PeerProcess()


async def test_looks_of_one_user_keep_no_others_waiting() -> None:
    """However many of his one user has waiting, another's look is made, and his own are made one by one."""
    gate, running, most = threading.Event(), 0, 0

    def attest(caller: PeerCredentials) -> PeerProcess:
        nonlocal running, most
        if caller.uid == 1001:
            running += 1
            most = max(most, running)
            gate.wait(5)
            running -= 1
        return PeerProcess(caller.uid)

    in_turn = AttestInTurn(attest)
    waiting = [asyncio.create_task(in_turn(PeerCredentials(1001, number))) for number in range(10 * AT_ONCE)]
    await asyncio.sleep(0)
    other = await asyncio.wait_for(in_turn(PeerCredentials(1002, 1)), 4)
    gate.set()
    await asyncio.gather(*waiting)
    in_turn.close()

    assert (other.pid, most) == (1002, 1)
