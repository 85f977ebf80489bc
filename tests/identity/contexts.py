"""The surroundings of token sources: a fixed time, fixed ids, and a client with scripted answers."""

from __future__ import annotations

from typing import Any

from app.identity.context import Context
from app.system.child_reaper import ChildReaper
from app.system.disk import Disk

from ..upstream.fake_http import FakeHttp

NOW = 1_767_323_045.0
"""2026-01-02T03:04:05Z."""


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
