"""One profile's credentials as a response: when they are served, and who receives them for the first time."""

from __future__ import annotations

import json

import pytest

from app.core.errors import NoCredentials
from app.core.formats import uri_document
from app.serve.callers import AllowedCallers
from app.serve.handlers.credential_endpoint import MOST_USERS, CredentialEndpoint

from ..clock import Clock
from .sources import FakeSession, FakeSource, session


@pytest.fixture
def source() -> FakeSource:
    """A source with a session."""
    return FakeSource(held=FakeSession(session()))


@pytest.fixture
def endpoint(source: FakeSource, clock: Clock) -> CredentialEndpoint:
    """The endpoint of `source`."""
    return CredentialEndpoint(source, clock.clocks)


def test_session_is_served(endpoint: CredentialEndpoint) -> None:
    """A valid session is served as the document of the credentials URI, in the same response each time."""
    found = endpoint.current()

    assert found is not None
    assert (found[0].status, found[0].body) == (200, uri_document(session()))
    assert endpoint.current() == (found[0], False)
    assert endpoint.current()[0] is found[0]  # type: ignore[index]


def test_new_session_replaces_the_response(endpoint: CredentialEndpoint, source: FakeSource) -> None:
    """After a refresh the new session is served."""
    endpoint.current()
    source.held = FakeSession(session(2))
    found = endpoint.current()

    assert found is not None
    assert json.loads(found[0].body)["AccessKeyId"] == "STS.2"


@pytest.mark.parametrize(("left", "served"), [(0.1, True), (0.0, False), (-1.0, False)])
def test_expired_session_is_not_served(
    endpoint: CredentialEndpoint, source: FakeSource, left: float, served: bool
) -> None:
    """A session is served until its end, and not at its end."""
    source.held = FakeSession(session(), left)

    assert (endpoint.current() is not None) is served


def test_without_a_session_nothing_is_served(endpoint: CredentialEndpoint, source: FakeSource) -> None:
    """Before the first session, and after it was dropped, there is nothing to serve."""
    endpoint.current()
    source.held = None

    assert endpoint.current() is None
    assert endpoint.first_use_by(1001) is None


@pytest.mark.parametrize(
    ("left", "healthy", "below"), [(1_799.9, True, True), (1_800.0, True, False), (1_799.9, False, False)]
)
def test_horizon(endpoint: CredentialEndpoint, source: FakeSource, left: float, healthy: bool, below: bool) -> None:
    """A session is below the horizon if less than promised is left although the last refresh succeeded."""
    source.held, source.healthy = FakeSession(session(), left), healthy
    found = endpoint.current()

    assert found is not None
    assert found[1] is below


def test_first_use_of_each_user(endpoint: CredentialEndpoint, source: FakeSource) -> None:
    """Each user, and the unknown one, is reported once for each session."""
    assert endpoint.first_use_by(1001) is None  # nothing was served
    for number in (1, 2):
        source.held = FakeSession(session(number))
        endpoint.current()

        assert [endpoint.first_use_by(uid) for uid in (1001, None, 0)] == [session(number)] * 3
        assert [endpoint.first_use_by(uid) for uid in (1001, None, 0)] == [None] * 3
        endpoint.current()
        assert endpoint.first_use_by(1001) is None


def test_first_uses_are_bounded(endpoint: CredentialEndpoint) -> None:
    """For one session, 256 users are remembered; the next one is not reported."""
    endpoint.current()
    reported = [endpoint.first_use_by(uid) for uid in range(1000)]

    assert reported.count(None) == 1000 - 256
    assert reported[255] == session()
    assert MOST_USERS == 256


async def test_refreshed_starts_an_overdue_refresh(endpoint: CredentialEndpoint, source: FakeSource) -> None:
    """A waiting request first starts a refresh that is overdue, then waits for the one under way."""
    await endpoint.refreshed()

    assert source.calls == ["overdue", "settled"]


@pytest.mark.parametrize(
    ("error", "message", "retry_after"),
    [
        (NoCredentials("refused", retry_after=12.1, error_code="IDS-401"), "refused (IDS-401)", b"13"),
        (NoCredentials("trying now", retry_after=0.0), "trying now (IDS-501)", b"1"),
        (None, "the credentials have just arrived: request them again (IDS-501)", b"1"),
    ],
)
def test_unavailable(
    endpoint: CredentialEndpoint, source: FakeSource, error: NoCredentials | None, message: str, retry_after: bytes
) -> None:
    """The 503 gives the reason, and the seconds until the next attempt; at least one second."""
    source.error = error
    answer = endpoint.unavailable()

    assert (answer.status, dict(answer.headers)[b"Retry-After"]) == (503, retry_after)
    assert json.loads(answer.body) == {"Code": "CredentialsUnavailable", "Message": message}


def test_caller_rule(source: FakeSource, clock: Clock) -> None:
    """An endpoint has the caller rule of its profile; without one it is for every caller."""
    rule = AllowedCallers(frozenset({1001}), frozenset())

    assert CredentialEndpoint(source, clock.clocks, rule).callers is rule
    assert CredentialEndpoint(source, clock.clocks).callers is None
