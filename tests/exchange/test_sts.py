"""What is accepted as a session of STS, and which of several endpoints is tried."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.core.errors import Refused, Unreachable
from app.core.values import Credentials
from app.exchange.sts import complete, credentials_from, first_reachable

NOW = 1_767_323_045.0
"""2026-01-02T03:04:05Z."""

WHERE = "https://sts.example.com"
TRIPLE = ("STS.id", "secret", "token")
INCOMPLETE = f"{WHERE}: HTTP 200 without complete credentials"
EXPIRED = f"{WHERE}: the credentials have already expired by this machine's clock; set the clock"
TOO_LONG = f"{WHERE}: the credentials end later than any session does; set this machine's clock"


def members(expiration: Any, **others: Any) -> dict[str, Any]:
    """Return the members of a successful answer whose session ends at `expiration`."""
    names = ("AccessKeyId", "AccessKeySecret", "SecurityToken")
    return {"Credentials": {**dict(zip(names, TRIPLE, strict=True)), "Expiration": expiration}, **others}


@pytest.mark.parametrize(
    ("expiration", "seconds"),
    [("2026-01-02T03:04:06Z", 1), ("2026-01-02T04:04:05Z", 3_600), ("2026-01-02T16:04:05Z", 46_800)],
    ids=["1 s", "1 h", "12 h and the clock's hour"],
)
def test_plausible_expiry_is_accepted(expiration: str, seconds: int) -> None:
    """A session may end 1 s from now, and at most 12 h and the hour from now that a clock may be behind."""
    found = credentials_from(members(expiration, RequestId="R-1"), now=NOW, where=WHERE)

    assert found == Credentials(*TRIPLE, issued_at=NOW, expires_at=NOW + seconds, request_id="R-1")


@pytest.mark.parametrize(
    ("expiration", "message"),
    [
        ("2026-01-02T03:04:05Z", EXPIRED),
        ("2026-01-02T03:04:04Z", EXPIRED),
        ("2026-01-02T16:04:06Z", TOO_LONG),
        ("2099-01-01T00:00:00Z", TOO_LONG),
        (None, INCOMPLETE),
    ],
)
def test_implausible_expiry_is_refused(expiration: Any, message: str) -> None:
    """A session that has ended, or ends later than any session does, would break the schedule of refreshes."""
    with pytest.raises(Unreachable, match=f"^{re.escape(message)}$") as caught:
        credentials_from(members(expiration), now=NOW, where=WHERE)

    assert (caught.value.endpoint, caught.value.error_code) == (WHERE, "IDS-422")


@pytest.mark.parametrize("position", range(3))
@pytest.mark.parametrize("value", [None, "", 3, "a,b", 'a"b', "a\\b", "a b", "schl\u00fcssel"])
def test_each_value_must_be_sendable(value: Any, position: int) -> None:
    """Each of the three values is visible ASCII without the characters that break clients' parsers."""
    triple = [*TRIPLE]
    triple[position] = value

    with pytest.raises(Unreachable, match=f"^{re.escape(INCOMPLETE)}$"):
        complete(triple, NOW + 60, now=NOW, where=WHERE)


@pytest.mark.parametrize("found", [None, [], "x", 1])
def test_answer_without_credentials_is_refused(found: Any) -> None:
    """`Credentials` of another type than an object is no session."""
    with pytest.raises(Unreachable, match=f"^{re.escape(INCOMPLETE)}$") as caught:
        credentials_from({"Credentials": found}, now=NOW, where=WHERE)

    assert (caught.value.endpoint, caught.value.status, caught.value.error_code) == (WHERE, 200, "IDS-422")


@pytest.mark.parametrize(("said", "shown"), [({}, ""), ({"RequestId": "<b>"}, "(unreadable)"), ({"RequestId": 7}, "7")])
def test_request_id_is_printable(said: dict[str, Any], shown: str) -> None:
    """The request id is for the audit log, so it is there only in the form of an id."""
    found = credentials_from(members("2026-01-02T04:04:05Z", **said), now=NOW, where=WHERE)

    assert found.request_id == shown


@pytest.mark.parametrize("said", ["of-the-request", "xof-the-requestx", "Key0123456789Secret"])
def test_request_id_is_no_secret(said: str) -> None:
    """A request id that repeats a secret of the request or session is dropped, because request ids are logged."""
    answer = members("2026-01-02T04:04:05Z", RequestId=said)
    answer["Credentials"]["AccessKeySecret"] = "Key0123456789Secret"
    found = credentials_from(answer, now=NOW, where=WHERE, secrets=("of-the-request",))

    assert found.request_id == "(unreadable)"


SESSION = Credentials(*TRIPLE, issued_at=NOW, expires_at=NOW + 60)
DOWN = Unreachable("down")
OTHER_DOWN = Unreachable("down, too")
THROTTLED = Unreachable("throttled", code="Throttling.User", throttled=True)
THROTTLED_BY_A_PAGE = Unreachable("throttled", code="429", throttled=True)
REFUSED = Refused("refused", status=403, code="NoPermission")


@pytest.mark.parametrize(
    ("results", "tried", "outcome"),
    [
        ([SESSION, DOWN], "a", SESSION),
        ([DOWN, SESSION], "ab", SESSION),
        ([DOWN, DOWN, SESSION], "abc", SESSION),
        ([DOWN, OTHER_DOWN], "ab", OTHER_DOWN),
        ([DOWN], "a", DOWN),
        ([THROTTLED, SESSION], "a", THROTTLED),
        ([DOWN, THROTTLED, SESSION], "ab", THROTTLED),
        ([THROTTLED_BY_A_PAGE, SESSION], "a", THROTTLED_BY_A_PAGE),
        ([REFUSED, SESSION], "a", REFUSED),
    ],
)
async def test_next_endpoint_is_tried_while_none_is_reached(
    results: list[Any], tried: str, outcome: Credentials | Exception
) -> None:
    """Endpoints are tried in order until one is reached; throttling and refusals apply to all, so they end the try."""
    endpoints = tuple("abc"[: len(results)])
    requested: list[str] = []

    async def request(endpoint: str) -> Credentials:
        requested.append(endpoint)
        result = results[len(requested) - 1]
        if isinstance(result, Exception):
            raise result
        assert isinstance(result, Credentials)
        return result

    try:
        found: Any = await first_reachable(endpoints, request)
    except (Unreachable, Refused) as error:
        found = error

    assert (found, "".join(requested)) == (outcome, tried)
