"""File system calls on threads: a call that hangs holds up the calls about its file, and no others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from app.core.errors import ConfigError
from app.system import secrets
from app.system.disk import ALL_CALLS, DIRECTORY_CALLS, Disk, OrderedThreads, Stalled

SHORT, LONG = 0.05, 60.0
"""Seconds that a call may take which hangs, and which does not."""


class HangingCall:
    """A call that returns when `answers` is set."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.started = 0

    def __call__(self) -> str:
        self.started += 1
        self.answers.wait(60)
        return "late"


@pytest.fixture
def hanging() -> Iterator[HangingCall]:
    """A call that hangs until the test ends."""
    call = HangingCall()
    yield call
    call.answers.set()


async def stalled(disk: Disk, path: str, call: HangingCall) -> bool:
    """Return whether the call about `path` does not return in time."""
    try:
        await disk.call(path, call, patience=SHORT)
    except Stalled:
        return True
    return False


async def test_result_and_error_of_a_call() -> None:
    """A call's result is returned, and its error is raised, a TimeoutError of its own included."""

    def fail() -> None:
        raise TimeoutError("of the file system (NFS)")

    assert await Disk().call("/a/b", lambda: 42) == 42
    with pytest.raises(TimeoutError, match="NFS"):
        await Disk().call("/a/b", fail)


async def test_hanging_calls_hold_up_no_other_directory(hanging: HangingCall) -> None:
    """However many files of one directory hang, a call about a file elsewhere returns."""
    disk = Disk(LONG)
    found = await asyncio.gather(*(stalled(disk, f"/hung/{number}", hanging) for number in range(3 * ALL_CALLS)))

    assert all(found)
    async with asyncio.timeout(LONG):
        while hanging.started < DIRECTORY_CALLS:  # noqa: ASYNC110 - a thread sets no event
            await asyncio.sleep(0.01)
    assert hanging.started == DIRECTORY_CALLS
    assert await disk.call("/healthy/file", lambda: "in time") == "in time"


async def test_file_that_hangs_keeps_one_thread(hanging: HangingCall) -> None:
    """A file that is asked for again and again while it hangs keeps one thread, and its directory stays usable."""
    disk = Disk(LONG)
    for _ in range(2 * DIRECTORY_CALLS):
        assert await stalled(disk, "/hung/file", hanging)

    assert hanging.started == 1
    assert await disk.call("/hung/other", lambda: "in time") == "in time"


async def test_file_that_answers_again(hanging: HangingCall) -> None:
    """When the file system answers again, so do the calls."""
    disk = Disk(LONG)
    assert await stalled(disk, "/hung/file", hanging)
    hanging.answers.set()

    assert await disk.call("/hung/file", lambda: "again") == "again"


async def test_secret_of_a_hanging_file_names_key_and_file() -> None:
    """The error of a secret whose file hangs names the configuration key, the file and the cause."""

    class HangingDisk(Disk):
        async def call(self, *_arguments: object, **_options: object) -> str:  # type: ignore[override]
            raise Stalled("the file system did not answer within 5 s")

    reader = secrets.Rotating(secrets.from_file("/hung/secret", "profiles.p.clientSecretFile"))
    with pytest.raises(Exception, match=r"profiles\.p\.clientSecretFile: /hung/secret: the file system did not answer"):
        await secrets.read(reader, HangingDisk())


async def test_secret_of_the_environment_needs_no_thread() -> None:
    """A secret of a variable is read at once; a missing one is a ConfigError."""
    reader = secrets.from_environment({"A": " value "}, "A", "place")
    missing = secrets.from_environment({}, "A", "place")

    assert await secrets.read(reader, Disk()) == "value"
    with pytest.raises(ConfigError):
        await secrets.read(missing, Disk())


def test_calls_of_a_queue_run_in_order(hanging: HangingCall) -> None:
    """Calls of a queue run in order. Waiting calls can be dropped while a call hangs."""
    threads, order = OrderedThreads(), list[int]()
    done = [threads.submit("a", order.append, number) for number in range(3)]
    done[-1].result(LONG)
    threads.submit("a", hanging)
    waiting = threads.submit("a", order.append, 4)
    threads.drop_waiting()

    assert waiting.cancelled()
    assert order == [0, 1, 2]


def test_queue_that_hangs_delays_no_other(hanging: HangingCall) -> None:
    """While a queue hangs, the calls of other queues run, up to a limit of queues that hang."""
    threads = OrderedThreads(2)
    threads.submit("a", hanging)
    for number in range(3):
        assert threads.submit("b", lambda found: found, number).result(LONG) == number
    threads.submit("b", hanging)
    waiting = threads.submit("c", lambda: "in time")

    assert not waiting.done()
    hanging.answers.set()
    assert waiting.result(LONG) == "in time"
