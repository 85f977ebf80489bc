"""The surroundings of token sources: a fixed time, fixed ids, and a client with scripted answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.identity.context import Context
from app.system.child_reaper import ChildReaper
from app.system.disk import Disk, Stalled

from ..upstream.fake_http import FakeHttp

NOW = 1_767_323_045.0
"""2026-01-02T03:04:05Z."""


class HungDisk(Disk):
    """A disk that answers no call in time; it records the paths that the calls are about."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: list[str] = []

    async def call(self, path: str, call: Callable[..., Any], *arguments: Any, patience: float | None = None) -> Any:
        """Record the path and raise Stalled."""
        self.paths.append(path)
        raise Stalled("the file system did not answer within 5 s", error_code="IDS-601")


def context(http: FakeHttp | None = None, **changes: Any) -> Context:
    """Return the surroundings; every connection is `http`."""
    usual: dict[str, Any] = {
        "connect": lambda *_: http or FakeHttp(),
        "environ": {},
        "now": lambda: NOW,
        "is_synchronised": lambda: True,
        "server_now": lambda _url: NOW,
        "server_is_synchronised": lambda _url: True,
        "new_id": lambda: "id-1",
        "is_ours": lambda _host: False,
        "children": ChildReaper(),
        "disk": Disk(),
    }
    return Context(**usual | changes)
