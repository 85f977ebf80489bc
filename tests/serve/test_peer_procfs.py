"""The process behind a socket, on this machine's /proc and on fake ones."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from app.serve.peers.peer import PeerCredentials, PeerProcess
from app.serve.peers.procfs import AT_ONCE, INITIAL_PID_NAMESPACE, MOST_LISTS, AttestInTurn, ProcFs

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


def test_unreadable_executable(tmp_path: Path) -> None:
    """The executable of a holder is left out where it cannot be read."""
    process(tmp_path, 10, sockets=(4711,))
    (tmp_path / "10/exe").unlink()

    assert ProcFs(tmp_path).holder_of(CALLER) == PeerProcess(10, None, frozenset({100}))


@pytest.mark.parametrize(
    ("status", "groups"),
    [
        (b"Name:\t\xff\nUid:\t1 1 1 1\nGid:\t5 6 7 8\nGroups:\t9 10\n", {8, 9, 10}),
        (b"Uid:\t1 1 1 1\nGid:\t5 6 7 8\n", {8}),
        (b"Gid:\t5 6 7 8\n", {8}),
        (b"Uid:\t1 1 1 1\nGid:\t5 6 7\nGroups:\t9\n", None),
        (b"Uid:\t1 1 1 1\nGid:\t5 6 7 8 9\nGroups:\t9\n", None),
        (b"Uid:\t1 1 1 1\nGroups:\t9\n", None),
        (b"", None),
    ],
)
def test_groups_of_a_process(tmp_path: Path, status: bytes, groups: set[int] | None) -> None:
    """A socket belongs to the filesystem group and the supplementary groups; a status in another form is unknown."""
    process(tmp_path, 10, sockets=(4711,))
    (tmp_path / "10/status").write_bytes(status)

    assert ProcFs(tmp_path).holder_of(CALLER).groups == groups


# --- the groups that all processes of a user have ---------------------------------------------------------------------


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A fake /proc in which every process is visible, but not its sockets. Process 1 is root's."""
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").touch()
    process(tmp_path, 1, uid=0, gid=0)
    return tmp_path


def certain_groups(machine: Path, listed: BusyProc | None = None) -> frozenset[int] | None:
    """Return the groups that the caller certainly has."""
    namespace = (machine / "self/ns/pid").stat().st_ino
    found = ProcFs(cast(Path, listed or machine), namespace).holder_of(CALLER)
    assert (found.pid, found.executable) == (None, None)
    return found.groups


def test_groups_of_all_processes(machine: Path) -> None:
    """Of an invisible holder, the groups are certain that all processes of its user have."""
    process(machine, 10, gid=100, groups="300 400")
    process(machine, 11, gid=100, groups="300 500")
    process(machine, 12, uid=1002, gid=7)

    assert certain_groups(machine) == {100, 300}


@pytest.mark.parametrize("place", range(4))
def test_process_with_several_ids(machine: Path, place: int) -> None:
    """A process counts as a user's if any of its four user ids is the user's."""
    process(machine, 10, groups="300 400")
    process(machine, 11)
    ids = ["0", "0", "0", "0"]
    ids[place] = "1001"
    (machine / "11/status").write_text(f"Uid:\t{' '.join(ids)}\nGid:\t0 0 0 300\n")

    assert certain_groups(machine) == {300}


def test_user_without_a_process(machine: Path) -> None:
    """The groups of a user that has no process are unknown."""
    process(machine, 10, uid=1002)

    assert certain_groups(machine) is None


@pytest.mark.parametrize("hidden", ["1", "self"])
def test_hidden_processes(machine: Path, hidden: str) -> None:
    """Where processes are hidden, a user's groups are unknown."""
    process(machine, 10)
    namespace = (machine / "self/ns/pid").stat().st_ino
    (machine / hidden).rename(machine / "hidden")

    assert ProcFs(machine, namespace).holder_of(CALLER) == PeerProcess()


def test_other_pid_namespace(machine: Path) -> None:
    """In another PID namespace than the machine's own, a user's groups are unknown."""
    process(machine, 10)
    namespace = (machine / "self/ns/pid").stat().st_ino

    assert ProcFs(machine, namespace + 1).holder_of(CALLER) == PeerProcess()
    assert INITIAL_PID_NAMESPACE == 4_026_531_836


class BusyProc:
    """The path of a /proc that calls `before(number)` before each list of its processes; 0 is the first."""

    def __init__(self, path: Path, before: Callable[[int], None]) -> None:
        self._path = path
        self._before = before
        self._lists = 0

    def __truediv__(self, name: str) -> Path:
        return self._path / name

    def __fspath__(self) -> str:
        self._before(self._lists)
        self._lists += 1
        return str(self._path)


def test_process_that_starts_meanwhile(machine: Path) -> None:
    """A process that appears between two lists counts."""
    process(machine, 10, groups="300 400")

    def before(number: int) -> None:
        if number == 2:
            process(machine, 11, groups="400")

    assert certain_groups(machine, BusyProc(machine, before)) == {100, 400}


@pytest.mark.parametrize(("quiet_after", "expected"), [(18, {100}), (19, None)])
def test_processes_that_start_without_end(machine: Path, quiet_after: int, expected: set[int] | None) -> None:
    """Two lists in a row without a new process are needed, among 20; otherwise the groups are unknown."""
    process(machine, 10)
    lists = 0

    def before(number: int) -> None:
        nonlocal lists
        lists = number  # the first list is that of the holders
        if 2 <= number <= quiet_after:
            process(machine, 100 + number)

    assert certain_groups(machine, BusyProc(machine, before)) == expected
    assert lists == MOST_LISTS == 20


def test_quiet_lists_in_a_row(machine: Path) -> None:
    """A list without a new process does not count after one with a new process."""
    process(machine, 10, groups="300")

    def before(number: int) -> None:
        if number == 3:
            process(machine, 11, groups="300")
        if number == 5:
            process(machine, 12)

    assert certain_groups(machine, BusyProc(machine, before)) == {100}


def test_process_that_is_never_read(machine: Path) -> None:
    """While a listed process cannot be read, the groups are unknown: it may belong to the user."""
    process(machine, 10)
    process(machine, 11)
    (machine / "11/status").unlink()

    assert certain_groups(machine) is None


# --- one attestation per user -----------------------------------------------------------------------------------------


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
    other = await asyncio.wait_for(in_turn(PeerCredentials(1002, 1)), 60)
    released.set()
    await asyncio.gather(*waiting)
    in_turn.close()

    assert (other.pid, maximum) == (1002, 1)


async def test_closed_look_ups() -> None:
    """`close` does not wait for the attestations under way, and cancels the ones that have not begun."""
    released, started = threading.Event(), threading.Semaphore(0)

    def attest(caller: PeerCredentials) -> PeerProcess:
        started.release()
        return PeerProcess(caller.uid if released.wait(60) else None)

    in_turn = AttestInTurn(attest)
    tasks = [asyncio.create_task(in_turn(PeerCredentials(uid, 1))) for uid in range(3)]
    await asyncio.sleep(0)
    for _ in range(2):
        assert await asyncio.to_thread(started.acquire, timeout=60)
    in_turn.close()
    assert not released.is_set()
    released.set()
    first, second, third = await asyncio.gather(*tasks, return_exceptions=True)

    assert [first, second] == [PeerProcess(0), PeerProcess(1)]
    assert isinstance(third, asyncio.CancelledError)
    assert AT_ONCE == 2
