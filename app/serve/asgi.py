"""FastAPI's pages in uvicorn's protocol: a connection is handed over with one request and closed after the answer.

Imported with FastAPI by the first request for a page; written for uvicorn 0.54.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState


class Page(HttpToolsProtocol):
    """uvicorn's protocol, which tells the connection's first owner when the connection is gone."""

    def __init__(self, config: uvicorn.Config, left: Callable[[], None]) -> None:
        super().__init__(config, ServerState(), {})
        self._left = left

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._left()


def page_maker(api: Any) -> Callable[[Callable[[], None]], Page]:
    """Makes the protocol for one request to `api`."""
    config = uvicorn.Config(
        api,
        interface="asgi3",
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,  # our own log says what is to be known
        proxy_headers=False,  # every caller of a page is loopback, whom uvicorn would believe
        server_header=False,
        date_header=False,
    )
    config.load()
    return lambda left: Page(config, left)
