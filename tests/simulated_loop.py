"""An event loop whose time advances as soon as no task is ready, so an hour of waiting takes milliseconds.

@simulated
async def test_a_day() -> None: ...
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from functools import wraps
from typing import Any

from app.system.disk import DaemonThreads, QueueExecutor

START_MONOTONIC = 1_000.0
"""The loop's time when it is created."""

THREAD_TIMEOUT = 30.0
"""Seconds of real time that the loop waits for a thread when no task and no timer is left."""


def simulated(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run the test on a simulated loop of its own."""

    @wraps(test)
    def run(*arguments: Any, **fixtures: Any) -> None:
        with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
            runner.run(test(*arguments, **fixtures))

    return run


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Move the time to the next timer when no task and no descriptor is ready. Work for a thread runs immediately."""

    def __init__(self) -> None:
        self.now = START_MONOTONIC
        super().__init__(_TimeSkippingSelector(self))
        self.set_default_executor(_ImmediateExecutor())

    def time(self) -> float:
        return self.now

    def run_in_executor(self, executor: Any, call: Any, *arguments: Any) -> Any:
        """Run work for threads of its own (`system/disk.py`) immediately, too."""
        return super().run_in_executor(
            None if isinstance(executor, DaemonThreads | QueueExecutor) else executor, call, *arguments
        )


class _TimeSkippingSelector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            found: list[Any] = super().select(THREAD_TIMEOUT)
            assert found, "every task waits for an event that will never happen"
            return found
        found = super().select(0)
        if not found:
            self._loop.now += max(0.0, timeout)
        return list(found)


class _ImmediateExecutor(ThreadPoolExecutor):
    def submit(self, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(call(*arguments, **named))
        except Exception as error:
            done.set_exception(error)
        return done
