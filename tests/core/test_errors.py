"""What each error says: its message, whether a repetition can succeed, and what `at` keeps of it."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.errors import ConfigError, NoCredentials, Refused, SidecarError, Unreachable

REFUSED: dict[str, Any] = {"status": 401, "code": "c", "request_id": "r", "renew_token": True, "withdrawn": True}
UNREACHABLE: dict[str, Any] = {"retry_after": 3.0, "code": "c", "throttled": True}
ERRORS = [
    (SidecarError("words"), False, {"retry_after": None}),
    (ConfigError("words"), True, {"retry_after": None}),
    (Unreachable("words"), False, {"retry_after": None, "code": "", "throttled": False}),
    (Unreachable("words", **UNREACHABLE), False, UNREACHABLE),
    (
        Refused("words", status=400, code="x"),
        True,
        {"status": 400, "code": "x", "request_id": "", "renew_token": False, "withdrawn": False},
    ),
    (Refused("words", **REFUSED), True, REFUSED),
    (NoCredentials("words", retry_after=7.0), False, {"retry_after": 7.0}),
]


@pytest.mark.parametrize(("error", "permanent", "members"), ERRORS)
def test_place_is_added_and_nothing_lost(error: SidecarError, permanent: bool, members: dict[str, Any]) -> None:
    """`at` puts a place before the message and keeps the type and all that the error says."""
    placed = error.at("place")

    assert (str(error), str(placed), type(placed)) == ("words", "place: words", type(error))
    assert error.permanent is placed.permanent is permanent
    for found in (error, placed):
        assert {name: getattr(found, name) for name in members} == members
