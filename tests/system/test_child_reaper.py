"""Orphans are waited for and our own children are not; each in a process of its own, whose children they are."""

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
BEGIN = """
import asyncio, os, sys, time
from app.system.child_reaper import ChildReaper
from app.main import run

def orphan(seconds=0.0):
    pid = os.fork()  # to `Children`, what it did not start is an orphan
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


def said(script: str) -> str:
    """What the script prints, as a process of its own, on the event loop that `serve` has."""
    done = subprocess.run(
        (sys.executable, "-c", BEGIN + script),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_orphans_are_waited_for() -> None:
    """All that have ended are gone after one look; one that lives on is left, and there may be more to come."""
    script = """
children = ChildReaper()
for _ in range(20):
    orphan()
alive = orphan(60)
before, more = len(zombies()), children.reap()
print(before, more, len(zombies()))
os.kill(alive, 9)
os.waitpid(alive, 0)
print(children.reap())
"""

    assert said(script).split() == ["20", "True", "0", "False"]


def test_our_own_are_left_alone() -> None:
    """A child that has ended, and that the event loop has not waited for, keeps its status for whom it belongs to."""
    script = """
async def main():
    children = ChildReaper()
    process = await children.start(asyncio.create_subprocess_exec("sh", "-c", "exit 7"))
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # blocks the loop: it cannot come first
    more = children.reap()
    code = await process.wait()
    children.ended(process)
    orphan()
    print(more, code, children.reap(), zombies())
    return 0
run(main)
"""

    assert said(script) == "True 7 False []"


def test_one_that_is_starting() -> None:
    """While a child is being started, nobody is waited for: it may be the one that ends."""
    script = """
async def main():
    children, go = ChildReaper(), asyncio.Event()
    async def start():
        await go.wait()
        return await asyncio.create_subprocess_exec("true")
    starting = asyncio.create_task(children.start(start()))
    await asyncio.sleep(0)
    orphan()
    during = children.reap(), len(zombies())
    go.set()
    process = await starting
    await process.wait()
    children.ended(process)
    children.reap()
    print(during, zombies())
    return 0
run(main)
"""

    assert said(script) == "(True, 1) []"


def test_one_that_does_not_start() -> None:
    """A failed start is passed on, and does not keep orphans from being waited for."""
    script = """
async def main():
    children = ChildReaper()
    try:
        await children.start(asyncio.create_subprocess_exec("/absent"))
    except FileNotFoundError:
        orphan()
        print(children.reap(), zombies())
    return 0
run(main)
"""

    assert said(script) == "False []"


@pytest.mark.parametrize(("left", "pause"), [(True, SOON), (False, SELDOM)])
async def test_the_pace(left: bool, pause: float, clock: Clock) -> None:
    """It looks again soon while there are children, and seldom while there are none."""

    class Fake(ChildReaper):
        def reap(self) -> bool:
            return left

    task = asyncio.create_task(Fake(clock.sleep).reap_orphans())
    try:
        assert await clock.asleep() == pause
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
