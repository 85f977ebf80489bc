"""The child reaper waits for orphans and leaves the program's own children alone. Each test is a process of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.system.child_reaper import SELDOM, SOON, ChildReaper

from ..clock import Clock

ROOT = Path(__file__).parents[2]
PRELUDE = """
import asyncio, os, sys, time
from app.system.child_reaper import ChildReaper
from app.main import run

def orphan(seconds=0.0):
    pid = os.fork()  # to `ChildReaper`, a child that it did not start is an orphan
    if not pid:
        time.sleep(seconds)
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT) if not seconds else None
    return pid

def zombies():
    found = open(f"/proc/self/task/{os.getpid()}/children").read().split()
    return [pid for pid in map(int, found) if open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] == "Z"]

async def sleeper(children, *, seconds):
    return await children.start(asyncio.create_subprocess_exec("sleep", seconds))
"""


def run_script(script: str) -> str:
    """Return what the script prints. It runs in a process of its own, on the event loop that `serve` uses."""
    result = subprocess.run(
        (sys.executable, "-c", PRELUDE + script),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_ended_orphans_are_reaped() -> None:
    """One call reaps all orphans that have ended, leaves a running one, and returns that more may come."""
    script = """
children = ChildReaper()
for _ in range(20):
    orphan()
alive = orphan(60)
before, more = len(zombies()), children.reap_ended()
print(before, more, len(zombies()))
os.kill(alive, 9)
os.waitpid(alive, 0)
print(children.reap_ended())
"""

    assert run_script(script).split() == ["20", "True", "0", "False"]


def test_own_child_keeps_its_status() -> None:
    """A child of the program that has ended keeps its exit status until the event loop has read it."""
    script = """
async def main():
    children = ChildReaper()
    child_input, write_end = os.pipe()
    program = asyncio.create_subprocess_exec("sh", "-c", "read line; exit 7", stdin=child_input)
    process = await children.start(program)
    os.write(write_end, b"end\\n")
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # the loop is blocked and cannot wait first
    more = children.reap_ended()
    code = await process.wait()
    children.ended(process)
    orphan()
    print(more, code, children.reap_ended(), zombies())
    return 0
run(main)
"""

    assert run_script(script) == "True 7 False []"


def test_no_child_is_reaped_while_one_starts() -> None:
    """While a child is starting, no child is reaped, because the new one may be the one that ends."""
    script = """
async def main():
    children, go = ChildReaper(), asyncio.Event()
    async def start():
        await go.wait()
        return await asyncio.create_subprocess_exec("true")
    starting = asyncio.create_task(children.start(start()))
    await asyncio.sleep(0)
    orphan()
    during = children.reap_ended(), len(zombies())
    go.set()
    process = await starting
    await process.wait()
    children.ended(process)
    children.reap_ended()
    print(during, zombies())
    return 0
run(main)
"""

    assert run_script(script) == "(True, 1) []"


def test_failed_start_does_not_stop_reaping() -> None:
    """The error of a failed start is raised, and orphans are still reaped."""
    script = """
async def main():
    children = ChildReaper()
    try:
        await children.start(asyncio.create_subprocess_exec("/absent"))
    except FileNotFoundError:
        orphan()
        print(children.reap_ended(), zombies())
    return 0
run(main)
"""

    assert run_script(script) == "False []"


@pytest.mark.parametrize(("remaining", "pause"), [(True, SOON), (False, SELDOM)])
async def test_pause_depends_on_remaining_children(remaining: bool, pause: float, clock: Clock) -> None:
    """The next call follows soon while there are children, and seldom while there are none."""

    class Fake(ChildReaper):
        def reap_ended(self) -> bool:
            return remaining

    task = asyncio.create_task(Fake(clock.sleep).reap_orphans())
    try:
        assert await clock.asleep() == pause
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
