"""A sidecar that has a bug which no loop survives: `python -m tests.e2e.dying serve --config F`."""

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

MARK = "die-now"
"""A file beside the configuration: while it is there, a refresh ends its loop."""


class EndsLoopsError(BaseException):
    """What `except Exception` does not catch."""


class Deadly(httpx.AsyncBaseTransport):
    """Real connections, while nobody asks for the bug."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark
        self._inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._mark.exists():
            raise EndsLoopsError
        return await self._inner.handle_async_request(request)


async def _serve(path: Path) -> int:
    loaded = load(str(path), os.environ, hostname="host-1", now=time.time)
    log = logger(loaded, sys.stderr)
    service = Service(loaded, os.environ, log, transport=lambda _way: Deadly(path.with_name(MARK)))
    await service.start()
    await asyncio.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(run(lambda: _serve(Path(sys.argv[-1]))))
