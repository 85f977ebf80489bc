"""File system calls on threads, so that a file system that hangs (NFS, FUSE) delays only the calls about its files."""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from threading import Lock
from typing import Any, ParamSpec, TypeVar
from weakref import WeakValueDictionary

from ..core.errors import Unreachable

T = TypeVar("T")
P = ParamSpec("P")

PATIENCE = 5.0
"""Seconds for one call. Reading a small file takes milliseconds, but a disk that must spin up takes some seconds."""

FILE_CALLS = 1
"""The most concurrent calls about one file. So a file that hangs keeps one thread, however often it is requested."""

DIRECTORY_CALLS = 8
"""The most concurrent calls about files of one directory. The files hang together, but must not keep all threads."""

ALL_CALLS = 128
"""The most threads in all. A thread that hangs in the kernel keeps some 20 KiB."""


class Stalled(Unreachable):
    """A file system call did not return in time."""


class DaemonThreads(Executor):
    """
    Runs each call on a thread of its own. The process can end without waiting for these threads.

    Python joins the threads of `ThreadPoolExecutor` at exit, so a thread that hangs in the kernel would keep the
    process alive.
    """

    def submit(self, call: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """Start `call`."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        # `threading.Thread.start` would wait until the new thread runs.
        _thread.start_new_thread(_run, (future, call, arguments, named))
        return future


def _run(future: Future[Any], call: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    try:
        result = call(*arguments, **named)
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


SILENT = f"the file system did not answer within {PATIENCE:g} s"
"""The words of messages about the TimeoutError of `in_time`."""


def in_time(call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Return the result of a call. For use before the event loop runs. Raises TimeoutError if the file system hangs."""
    return DaemonThreads().submit(call, *arguments, **named).result(PATIENCE)


class QueueExecutor(Executor):
    """Runs the calls of one queue of OrderedThreads."""

    def __init__(self, threads: OrderedThreads, name: str) -> None:
        self._threads = threads
        self._name = name

    def submit(self, call: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """Run `call` after all calls of the queue that were submitted before."""
        return self._threads.submit(self._name, call, *arguments, **named)


class OrderedThreads:
    """
    Runs calls on daemon threads: the calls of one queue in order, and different queues concurrently.

    The process can end without waiting for these threads. A thread ends when its queue is empty. At most `most` queues
    run at the same time.
    """

    def __init__(self, most: int = ALL_CALLS) -> None:
        self._most = most
        self._queues: dict[str, deque[tuple[Future[Any], Callable[[], Any]]]] = {}
        self._waiting: deque[str] = deque()
        self._running = 0
        self._lock = Lock()

    def submit(self, queue: str, call: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """Run `call` after all calls of its queue that were submitted before."""
        future: Future[T] = Future()
        with self._lock:
            if queue not in self._queues:
                self._queues[queue] = deque()
                self._waiting.append(queue)
            self._queues[queue].append((future, partial(call, *arguments, **named)))
            starts = bool(self._waiting) and self._running < self._most
            self._running += starts
        if starts:
            _thread.start_new_thread(self._work, ())
        return future

    def queue(self, name: str) -> QueueExecutor:
        """Return the executor of a queue."""
        return QueueExecutor(self, name)

    def drop_waiting(self) -> None:
        """Cancel all calls that have not started."""
        with self._lock:
            waiting = [future for queue in self._queues.values() for future, _ in queue]
            for queue in self._queues.values():
                queue.clear()
        for future in waiting:
            future.cancel()

    def _work(self) -> None:
        queue: str | None = None
        while True:
            with self._lock:
                if queue is None:
                    if not self._waiting:
                        self._running -= 1
                        return
                    queue = self._waiting.popleft()
                if not self._queues[queue]:
                    del self._queues[queue]
                    queue = None
                    continue
                future, call = self._queues[queue].popleft()
            if future.set_running_or_notify_cancel():
                _run(future, call, (), {})


class Disk:
    """
    Runs file system calls on threads, with a time limit for each.

    A call that does not return keeps its thread until the file system answers. Later calls about the same file wait;
    calls about other files go on. The bounds per file, per directory and in all keep the number of threads small.
    `directory` returns the directory of a file. It follows links as far as they are known without a system call.
    """

    def __init__(
        self,
        patience: float = PATIENCE,
        threads: Executor | None = None,
        directory: Callable[[str], str] = os.path.dirname,
    ) -> None:
        self.directory = directory
        self._patience = patience
        self._threads = threads or DaemonThreads()
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._all = asyncio.Semaphore(ALL_CALLS)

    async def call(self, path: str, call: Callable[..., T], *arguments: Any, patience: float | None = None) -> T:
        """
        Return the result of `call`, which concerns the file at `path`. Raises the errors of `call`, and Stalled.

        `patience`: the time limit in seconds for a call that does more than read a small file.
        """
        seconds = self._patience if patience is None else patience
        try:
            async with asyncio.timeout(seconds) as limit:
                return await asyncio.shield(await self._started(path, call, arguments))
        except TimeoutError:
            if not limit.expired():
                raise
            raise Stalled(f"the file system did not answer within {seconds:g} s", error_code="IDS-601") from None

    async def _started(self, path: str, call: Callable[..., T], arguments: tuple[Any, ...]) -> asyncio.Future[T]:
        """Start the call when the bounds of its file, of its directory and of all calls permit it."""
        with contextlib.ExitStack() as turns:
            for turn in (
                self._turn(path, FILE_CALLS),
                self._turn(f"{self.directory(path)}/", DIRECTORY_CALLS),
                self._all,
            ):
                await turn.acquire()
                turns.callback(turn.release)
            future = asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)
            future.add_done_callback(_Ended(turns.pop_all()))
            return future

    def _turn(self, name: str, most: int) -> asyncio.Semaphore:
        found = self._turns.get(name)
        if found is None:
            found = self._turns[name] = asyncio.Semaphore(most)
        return found


class _Ended:
    """Releases the semaphores of a call when its thread has ended, which may be long after its caller has given up."""

    def __init__(self, turns: contextlib.ExitStack) -> None:
        self._turns = turns

    def __call__(self, future: asyncio.Future[Any]) -> None:
        self._turns.close()
        if not future.cancelled():
            future.exception()  # marks the error as retrieved: it was reported, or its caller has given up
