"""Runs work that fails after it has taken over the signals, in the event loop of `serve`. Prints the error."""

from __future__ import annotations

import asyncio
import os
import signal

from app.main import Signals, run


async def work() -> int:
    """Take over the signals, and fail, as `serve` does for an address in use."""
    Signals(asyncio.get_running_loop())
    raise OSError("in use")


try:
    run(work)
except OSError as error:
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    print(error)
