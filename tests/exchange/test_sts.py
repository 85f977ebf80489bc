"""What is accepted as a session of STS: its expiry, by this machine's clock."""

from __future__ import annotations

import re

import pytest

from app.core.errors import Unreachable
from app.exchange.sts import credentials_from

NOW = 1_767_323_045.0
"""2026-01-02T03:04:05Z."""

EXPIRED = "https://sts.example: the credentials have already expired by this machine's clock; check the clock"
TOO_LONG = "https://sts.example: the credentials end later than any session does; check this machine's clock"


def answer(expiration: str) -> dict[str, object]:
    """Return a complete answer of STS whose session ends at `expiration`."""
    triple = {"AccessKeyId": "STS.id", "AccessKeySecret": "secret", "SecurityToken": "token"}
    return {"RequestId": "R-1", "Credentials": {**triple, "Expiration": expiration}}


@pytest.mark.parametrize(
    ("expiration", "seconds"),
    [("2026-01-02T03:04:06Z", 1), ("2026-01-02T04:04:05Z", 3_600), ("2026-01-02T16:04:05Z", 46_800)],
)
def test_plausible_expiry_is_accepted(expiration: str, seconds: int) -> None:
    """A session may end 1 s from now, and at most 12 h and the hour from now that a clock may be behind."""
    found = credentials_from(answer(expiration), now=NOW, where="https://sts.example")

    assert (found.issued_at, found.expires_at, found.request_id) == (NOW, NOW + seconds, "R-1")


@pytest.mark.parametrize(
    ("expiration", "message"),
    [
        ("2026-01-02T03:04:05Z", EXPIRED),
        ("2026-01-02T03:04:04Z", EXPIRED),
        ("2026-01-02T16:04:06Z", TOO_LONG),
        ("2099-01-01T00:00:00Z", TOO_LONG),
    ],
)
def test_implausible_expiry_is_refused(expiration: str, message: str) -> None:
    """A session that has ended, or ends later than any session does, would break the schedule of refreshes."""
    with pytest.raises(Unreachable, match=re.escape(message)):
        credentials_from(answer(expiration), now=NOW, where="https://sts.example")
