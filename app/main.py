"""`serve`: a configuration, signals, an exit code. Loads neither the command line nor the emulator.

Exit codes: 0 stopped as asked, 2 bad configuration, 3 the cloud refused, 4 the cloud could not be reached.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TextIO

from .config.loader import Loaded, load
from .core.model import ConfigError, SidecarError
from .observe.log import Bridge, Log
from .refresh.refresher import Refresher
from .serve.handlers.ops import missing
from .service import Service
from .system.hardening import no_dumps

OK, BAD_CONFIG, REFUSED, UNREACHABLE = 0, 2, 3, 4


def serve(config: str | None, environ: Mapping[str, str] = os.environ, stream: TextIO = sys.stderr) -> int:
    """Runs the sidecar until it is told to stop; the exit code. Raises ConfigError."""
    no_dumps()

    def reading() -> Loaded:
        return load(config, environ, hostname=socket.gethostname(), now=time.time, trace=False)

    loaded = reading()
    return run(lambda: _serve(loaded, reading, environ, logger(loaded, stream)))


def run(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """`work` in an event loop of uvloop's, where there is one."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(work())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # Windows: slower, the same otherwise
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def logger(loaded: Loaded, stream: TextIO) -> Log:
    """The log as configured; warnings of libraries go into it too."""
    config = loaded.settings.logging
    json_lines = config.format == "json" or (config.format == "auto" and not stream.isatty())
    log = Log(stream, level=config.level, json_lines=json_lines, now=time.time)
    logging.basicConfig(handlers=[Bridge(log)], level=logging.WARNING, force=True)
    return log


async def _serve(loaded: Loaded, reading: Callable[[], Loaded], environ: Mapping[str, str], log: Log) -> int:
    service = Service(loaded, environ, log, load=reading)
    signals = Signals(asyncio.get_running_loop())
    await service.start()
    signals.on_hang_up(service.hang_up)
    try:
        code = await _gate(service, loaded, signals, log)
        if code == OK:
            await signals.stop.wait()
            await drain(signals, service.settings.shutdown.drain_seconds, log)
        return code
    finally:
        await service.stop()
        log.write("info", "stopped")
        log.close()


class Signals:
    """SIGTERM asks to stop after draining; a second one, or SIGINT, at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.stop = asyncio.Event()
        self.at_once = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, self._terminate)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)

    def on_hang_up(self, call: Callable[[], None]) -> None:
        """Calls back at each SIGHUP."""
        self._loop.add_signal_handler(signal.SIGHUP, call)

    def _terminate(self) -> None:
        if self.stop.is_set():
            self.at_once.set()
        self.stop.set()

    def _interrupt(self) -> None:
        self.at_once.set()
        self.stop.set()


async def drain(signals: Signals, seconds: float, log: Log) -> None:
    """Goes on answering for `seconds`, because the application that we serve is being stopped too."""
    if signals.at_once.is_set():
        return
    log.write("info", "draining", seconds=seconds)
    await _within(seconds, signals.at_once.wait())


async def _gate(service: Service, loaded: Loaded, signals: Signals, log: Log) -> int:
    """Waits for the first credentials where start-up depends on them; the exit code, 0 to go on."""
    startup = loaded.settings.startup
    if startup.gate != "credentials":
        return OK
    waits = [asyncio.create_task(service.ready()), asyncio.create_task(signals.stop.wait())]
    await asyncio.wait(waits, timeout=startup.timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in waits:
        task.cancel()
    if service.usable() or signals.stop.is_set():
        return OK
    lacking = {status.profile for status in missing(service.refreshers)}
    for status in missing(service.refreshers):
        log.write(
            "error",
            "start_up_failed",
            profile=status.profile,
            error=status.last_error or "no answer from the cloud",
            seconds=startup.timeout_seconds,
        )
    return exit_code([item for item in service.refreshers if item.profile in lacking])


def exit_code(failed: list[Refresher]) -> int:
    """3 if the cloud said no to any of them, 2 if one cannot work as configured, else 4."""
    errors = [item.last_error for item in failed]
    if any(isinstance(error, ConfigError) for error in errors):
        return BAD_CONFIG
    permanent = any(isinstance(error, SidecarError) and error.permanent for error in errors)
    return REFUSED if permanent else UNREACHABLE


async def _within(seconds: float, work: Coroutine[Any, Any, object]) -> None:
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        return
