"""A sidecar with a bug that ends a refresh loop: `python -m tests.e2e.ending_loop serve --config F`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import httpx

from app.config.loader import load
from app.main import logger, run
from app.service import Service

TRIGGER_FILE = "end-loops"
"""A file in the directory of the configuration. While it exists, a refresh ends its loop."""


class EndsLoopsError(BaseException):
    """An exception that `except Exception` does not catch."""


class EndingTransport(httpx.AsyncBaseTransport):
    """A real transport that raises `EndsLoopsError` while the trigger file exists."""

    def __init__(self, trigger: Path) -> None:
        self._trigger = trigger
        self._inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, or raise."""
        if self._trigger.exists():
            raise EndsLoopsError
        return await self._inner.handle_async_request(request)


async def _serve(path: Path) -> int:
    loaded = load(str(path), os.environ, hostname="host-1", now=time.time)
    log = logger(loaded, sys.stderr)
    service = Service(loaded, os.environ, log, transport=lambda _way: EndingTransport(path.with_name(TRIGGER_FILE)))
    await service.start()
    await asyncio.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(run(lambda: _serve(Path(sys.argv[-1]))))
