"""The command `serve` from its configuration to its exit code, and the application for any ASGI server.

Imports neither the command line nor the emulator. Exit codes: 0 stopped as ordered, 2 bad configuration, 3 the cloud
refused, 4 the cloud could not be reached, or a file or address was not there in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from .config.loader import Loaded, load
from .core.errors import ConfigError, NotThereYet, SidecarError
from .listeners import bind
from .observe import log_events
from .observe.event_log import failure_fields
from .observe.library_log import LibraryHandler
from .observe.log import Log
from .refresh.refresher import Refresher
from .serve.handlers.gate import missing
from .service import Service
from .start import complete
from .system.hardening import no_dumps
from .system.survey import Survey

if TYPE_CHECKING:
    from fastapi import FastAPI

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

SWITCH_SECONDS = 0.001
"""Seconds that the event loop waits at most for a thread that computes, such as a reload. Python's default is 0.005."""

OK, BAD_CONFIG, REFUSED, UNREACHABLE = 0, 2, 3, 4


def serve(config: str | None, environ: Mapping[str, str] = os.environ, stream: TextIO = sys.stderr) -> int:
    """Run the sidecar until it is stopped; return the exit code. Raises ConfigError, and NotThereYet after the wait."""
    no_dumps()
    sys.setswitchinterval(SWITCH_SECONDS)

    survey = Survey()

    def reading() -> Loaded:
        return load(
            config, environ, hostname=socket.gethostname(), now=time.time, trace=False, patient=True, survey=survey
        )

    loaded, sockets = complete("serve", lambda: _listening(reading()), stream)
    return run(lambda: _serve(loaded, sockets, reading, survey, environ, logger(loaded, stream)))


def _listening(loaded: Loaded) -> tuple[Loaded, dict[str, socket.socket]]:
    """Return `loaded` and its listening sockets. Raises ConfigError or NotThereYet, with the patience of `loaded`."""
    settings = loaded.settings
    try:
        return loaded, bind(settings.server, settings.access.hop_limit)
    except NotThereYet as absence:
        raise absence.with_members(patience=settings.startup.timeout_seconds) from None


def create_app() -> FastAPI:
    """
    Return the application for an ASGI server: `uvicorn --factory app.main:create_app`. A development mode.

    The application refreshes the credentials and serves all listeners' routes on one port. It lacks the features of the
    listeners themselves: the caller's identity, the hop limit, the limits of connections and requests, the start gate
    and exit codes.
    """
    loaded = load(None, os.environ, hostname=socket.gethostname(), now=time.time, trace=False, patient=True)
    log = logger(loaded, sys.stderr)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.stop()

    service = Service(loaded, os.environ, log, listen=False)
    log.write(log_events.CONFIGURATION, _DEVELOPMENT_MODE)
    return service.application(lifespan=lifespan)


_DEVELOPMENT_MODE = (
    "development mode: callers are not identified, and hop limit and connection limits do not apply; use `serve` in "
    "production"
)


def run(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """
    Run `work` in a new event loop (uvloop's, if installed). Return its result, which is the exit code of the process.

    Afterwards, the signals of `Signals` are ignored: another SIGINT while Python ends would change the exit code.
    """
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            return runner.run(work())
        finally:
            for number, handler in before.items():
                if signal.getsignal(number) is not handler:
                    signal.signal(number, signal.SIG_IGN)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    # libuv reads this variable. By default, libuv changes its epoll set through io_uring, which takes a sixth more CPU
    # for a new connection (bench/README.md), and which most sandboxes forbid.
    if "UV_USE_IO_URING" not in os.environ:
        os.putenv("UV_USE_IO_URING", "0")  # os.environ stays as it is: commands inherit it
    try:
        import uvloop
    except ImportError:  # on Windows: slower, with the same behaviour
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def logger(loaded: Loaded, stream: TextIO) -> Log:
    """Return the configured log. Warnings of libraries go to the same log."""
    config = loaded.settings.logging
    json_lines = config.format == "json" or (config.format == "auto" and not stream.isatty())
    log = Log(stream, level=config.level, json_lines=json_lines, now=time.time)
    logging.basicConfig(handlers=[LibraryHandler(log)], level=logging.WARNING, force=True)
    logging.captureWarnings(True)  # Python's own warnings would be raw lines on stderr
    return log


async def _serve(
    loaded: Loaded,
    sockets: Mapping[str, socket.socket],
    reading: Callable[[], Loaded],
    survey: Survey,
    environ: Mapping[str, str],
    log: Log,
) -> int:
    service = Service(loaded, environ, log, load=reading, survey=survey, sockets=sockets)
    signals = Signals(asyncio.get_running_loop())
    await service.start()
    signals.on_reload(service.reload)
    try:
        code = await _gate(service, loaded, signals, log)
        if code == OK:
            await signals.stop.wait()
            service.stopping()
            await drain(signals, service.settings.shutdown.drain_seconds, log)
        return code
    finally:
        await service.stop()
        log.write(log_events.STOPPED)
        log.close()


class Signals:
    """Signals that stop the sidecar: SIGTERM after draining, a second SIGTERM or SIGINT at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.stop = asyncio.Event()
        self.at_once = asyncio.Event()
        # Not `loop.add_signal_handler`: a closing loop sets the defaults. The next SIGINT would end Python with -2.
        signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(self._terminate))
        signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(self._interrupt))

    def on_reload(self, call: Callable[[], None]) -> None:
        """Call `call` at each SIGHUP."""
        self._loop.add_signal_handler(signal.SIGHUP, call)

    def _terminate(self) -> None:
        if self.stop.is_set():
            self.at_once.set()
        self.stop.set()

    def _interrupt(self) -> None:
        self.at_once.set()
        self.stop.set()


async def drain(signals: Signals, seconds: float, log: Log) -> None:
    """Answer requests for `seconds` more, because the application that uses the sidecar is being stopped, too."""
    if signals.at_once.is_set():
        return
    log.write(log_events.DRAINING, seconds=seconds)
    await _within(seconds, signals.at_once.wait())


async def _gate(service: Service, loaded: Loaded, signals: Signals, log: Log) -> int:
    """
    Wait for the first credentials if start-up depends on them. Return the exit code; 0 means that start-up continues.

    SIGTERM during the wait also logs the reason and returns an error: the kubelet sends SIGTERM when a probe fails too
    often, and only the exit code and the last log line remain of the container. SIGINT, from a person at a terminal,
    returns 0.
    """
    startup = loaded.settings.startup
    if startup.gate != "credentials":
        return OK
    began = asyncio.get_running_loop().time()
    waits = [asyncio.create_task(service.ready()), asyncio.create_task(signals.stop.wait())]
    await asyncio.wait(waits, timeout=startup.timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in waits:
        task.cancel()
    if service.usable() or signals.at_once.is_set():
        return OK
    lacking = {status.profile: status for status in missing(service.refreshers)}
    failed = [item for item in service.refreshers if item.profile in lacking]
    for item in failed:
        log.write(
            log_events.START_UP_FAILED,
            profile=item.profile,
            error=lacking[item.profile].last_error or "no answer from the cloud",
            **failure_fields(item.last_error),
            seconds=round(asyncio.get_running_loop().time() - began, 1),
        )
    return exit_code(failed)


def exit_code(failed: list[Refresher]) -> int:
    """Return 2 if one of the profiles cannot work as configured, 3 if the cloud refused one, else 4."""
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
