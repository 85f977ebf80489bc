"""The token endpoint of an OpenID provider: what is requested when, and which documents are used."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.core.errors import Mistake, Refused, SidecarError, Unreachable
from app.identity.discovery import FRESH_SECONDS, PAUSE_SECONDS, Discovery

from ..clock import Clock
from ..upstream.fake_http import FakeHttp, Sent, answer

ISSUER = "https://idp.example.com"
WHERE = f"{ISSUER}/.well-known/openid-configuration"
DOWN = answer({}, 503)


def document(path: str = "token", **members: Any) -> dict[str, Any]:
    """Return a discovery document."""
    return {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/{path}", **members}


def discovery(
    http: FakeHttp,
    clock: Clock,
    *,
    issuer: str = ISSUER,
    mutual_tls: bool = False,
    warnings: list[Mistake] | None = None,
) -> Discovery:
    """Return the discovery of one issuer; its warnings are appended to `warnings`."""
    warn = (warnings if warnings is not None else []).append
    return Discovery(http, issuer, mutual_tls=mutual_tls, now=clock.time, warn=warn)


@pytest.mark.parametrize("issuer", [ISSUER, f"{ISSUER}/"])
async def test_document_is_below_the_issuer(issuer: str, clock: Clock) -> None:
    """The document is below the issuer's URL, with or without the slash that the issuer ends in."""
    http = FakeHttp(answer(document(issuer=issuer)))

    assert await discovery(http, clock, issuer=issuer).token_endpoint() == f"{ISSUER}/token"
    assert http.sent == [Sent("GET", WHERE, {}, {})]


async def test_document_is_used_for_an_hour(clock: Clock) -> None:
    """A document is used for 3600 s from when it was fetched, and then a new one."""
    http = FakeHttp(answer(document("1")), answer(document("2")))
    found = discovery(http, clock)

    endpoints = [await found.token_endpoint()]
    clock.skip(3599.5)
    endpoints.append(await found.token_endpoint())
    clock.skip(0.5)
    endpoints.append(await found.token_endpoint())

    assert endpoints == [f"{ISSUER}/{path}" for path in ("1", "1", "2")]


async def test_previous_document_is_used_while_none_can_be_fetched(clock: Clock) -> None:
    """A provider that is down has no new endpoint, so the previous one is used, and asked for after a pause only."""
    http = FakeHttp(answer(document("1")), DOWN, Unreachable("down"), answer(document("2")))
    found = discovery(http, clock)
    endpoints = [await found.token_endpoint()]
    clock.skip(3_600)

    for requests in (2, 3, 4):
        endpoints += [await found.token_endpoint() for _ in range(5)]
        clock.skip(PAUSE_SECONDS - 0.5)
        endpoints += [await found.token_endpoint() for _ in range(5)]
        assert len(http.sent) == requests
        clock.skip(0.5)

    assert endpoints == [f"{ISSUER}/{path}" for path in ("1", *("1" for _ in range(20)), *("2" for _ in range(10)))]


@pytest.mark.parametrize(("wish", "pause"), [(1.0, PAUSE_SECONDS), (1_000.0, 1_000.0), (86_400.0, FRESH_SECONDS)])
async def test_wish_of_an_issuer_that_is_throttled(wish: float, pause: float, clock: Clock) -> None:
    """`Retry-After` of a document's server lengthens the pause, up to the time for which a document is used."""
    failure = Unreachable("busy")
    failure.retry_after = wish
    http = FakeHttp(answer(document("1")), failure, answer(document("2")))
    found = discovery(http, clock)
    await found.token_endpoint()
    clock.skip(FRESH_SECONDS)
    await found.token_endpoint()
    clock.skip(pause - 0.5)

    assert await found.token_endpoint() == f"{ISSUER}/1"
    clock.skip(0.5)
    assert await found.token_endpoint() == f"{ISSUER}/2"


async def test_endpoint_that_fails_ends_the_pause(clock: Clock) -> None:
    """An endpoint that moved while its issuer was down is found by the next attempt, even during the pause."""
    failure = Unreachable("maintenance")
    failure.retry_after = FRESH_SECONDS
    http = FakeHttp(answer(document("1")), failure, answer(document("2")))
    found = discovery(http, clock)
    await found.token_endpoint()
    clock.skip(FRESH_SECONDS)
    before = await found.token_endpoint()
    found.failed()

    assert (before, await found.token_endpoint()) == (f"{ISSUER}/1", f"{ISSUER}/2")


async def test_failure_before_the_first_document(clock: Clock) -> None:
    """A failure that is reported before a document was requested changes nothing."""
    found = discovery(FakeHttp(answer(document())), clock)
    found.failed()

    assert await found.token_endpoint() == f"{ISSUER}/token"


async def test_endpoint_that_fails_leaves_a_fresh_document(clock: Clock) -> None:
    """A client that is refused does not ask for a document that is fresh."""
    http = FakeHttp(answer(document("1")))
    found = discovery(http, clock)
    await found.token_endpoint()
    found.failed()

    assert await found.token_endpoint() == f"{ISSUER}/1"
    assert len(http.sent) == 1


async def test_without_a_known_endpoint_each_attempt_asks(clock: Clock) -> None:
    """A start is not delayed: the first document that can be used is used at once."""
    http = FakeHttp(DOWN, answer({}, 404), answer(document("1")))
    found = discovery(http, clock)
    for kind in (Unreachable, Refused):
        with pytest.raises(kind):
            await found.token_endpoint()

    assert await found.token_endpoint() == f"{ISSUER}/1"


PAGE = "<html><title>Request blocked</title></html>"


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        (answer({}, 404), "HTTP 404"),
        (answer({}, 410), "HTTP 410"),
        (answer(PAGE, 403), "HTTP 403"),
        (answer(PAGE), "HTTP 200 with 43 bytes of HTML or XML instead of JSON"),
        (DOWN, "HTTP 503"),
        (Unreachable("down"), "down"),
        (answer(document("2", issuer="https://other.example.com")), "the document names another issuer"),
        (answer(document(token_endpoint="http://idp.example.com/token")), "its token_endpoint is not an https URL"),
        (answer({"error": "invalid_tenant"}), "invalid_tenant"),
    ],
    ids=["404", "410", "WAF", "HTML 200", "503", "down", "other issuer", "http", "error"],
)
async def test_known_endpoint_stays_in_use(later: Any, reason: str, clock: Clock) -> None:
    """Whatever the issuer answers later, the known endpoint is used, and one warning per series says so."""
    warnings: list[Mistake] = []
    fine = answer(document("1"))
    http = FakeHttp(fine, later, later, fine, later)
    found = discovery(http, clock, warnings=warnings)
    endpoints = [await found.token_endpoint()]
    said = []
    for _ in range(4):
        clock.skip(3_600)
        endpoints.append(await found.token_endpoint())
        said.append(len(warnings))

    assert set(endpoints) == {f"{ISSUER}/1"}
    assert said == [1, 1, 1, 2]
    assert {each.error_code for each in warnings} == {"IDS-346"}
    assert reason in warnings[0]


@pytest.mark.parametrize(
    ("named", "read"),
    [
        (["RS256", "ES256"], ("RS256", "ES256")),
        (["RS256", 3], ("RS256", "3")),
        ([f"A{number}" for number in range(51)], tuple(f"A{number}" for number in range(50))),
        ("RS256", ()),
        (None, ()),
    ],
    ids=["two", "a number", "51", "text", "none"],
)
async def test_algorithms_of_the_document(named: Any, read: tuple[str, ...], clock: Clock) -> None:
    """The document names at most 50 algorithms for assertions; before it is read, none is known."""
    body = document(token_endpoint_auth_signing_alg_values_supported=named)
    found = discovery(FakeHttp(answer(body)), clock)
    before = found.signing_algorithms()
    await found.token_endpoint()

    assert (before, found.signing_algorithms()) == ((), read)


ALIASES = {"mtls_endpoint_aliases": {"token_endpoint": "https://mtls.example.com/token"}}


@pytest.mark.parametrize(
    ("members", "mutual_tls", "endpoint"),
    [
        (ALIASES, True, "https://mtls.example.com/token"),
        (ALIASES, False, f"{ISSUER}/token"),
        ({"mtls_endpoint_aliases": {}}, True, f"{ISSUER}/token"),
        ({"mtls_endpoint_aliases": ["token_endpoint"]}, True, f"{ISSUER}/token"),
        ({}, True, f"{ISSUER}/token"),
    ],
)
async def test_alias_is_for_mutual_tls(members: dict[str, Any], mutual_tls: bool, endpoint: str, clock: Clock) -> None:
    """A client with a certificate uses the endpoint for mutual TLS (RFC 8705 section 5), if there is one."""
    http = FakeHttp(answer(document(**members)))

    assert await discovery(http, clock, mutual_tls=mutual_tls).token_endpoint() == endpoint


@pytest.mark.parametrize(
    ("status", "transient"),
    [(400, False), (404, False), (428, False), (430, False), (499, False), (429, True), (500, True), (503, True)],
)
async def test_status_is_permanent_or_transient(status: int, transient: bool, clock: Clock) -> None:
    """429 and 5xx are transient and keep Retry-After; any other status is permanent, with a cure."""
    http = FakeHttp(answer({}, status, retry_after=17.0))

    with pytest.raises(SidecarError) as caught:
        await discovery(http, clock).token_endpoint()

    assert caught.value.cure.startswith("correct the issuer, or set tokenEndpoint") != transient
    if transient:
        assert isinstance(caught.value, Unreachable)
        assert str(caught.value).startswith(f"{WHERE}: HTTP {status}")
        assert caught.value.retry_after == 17.0
    else:
        assert isinstance(caught.value, Refused)
        assert (caught.value.status, caught.value.code) == (status, str(status))
        assert caught.value.cause == f"{WHERE}: HTTP {status}"


@pytest.mark.parametrize(
    ("body", "error", "message", "code", "error_code"),
    [
        (document(issuer=f"{ISSUER}/"), Refused, "the document names another issuer", "issuer_mismatch", "IDS-323"),
        (
            {"token_endpoint": f"{ISSUER}/token"},
            Refused,
            "the document names another issuer, missing, than",
            "issuer_mismatch",
            "IDS-323",
        ),
        (
            document(token_endpoint="http://idp.example.com/token"),
            Refused,
            "its token_endpoint is not",
            "bad_endpoint",
            "IDS-323",
        ),
        (document(token_endpoint=3), Unreachable, "names no token_endpoint", "", "IDS-323"),
        (document(token_endpoint=None), Unreachable, "names no token_endpoint", "", "IDS-323"),
        ([], Unreachable, "HTTP 200 with a JSON list instead of an object", "", "IDS-209"),
    ],
)
async def test_unusable_document_is_not_used(
    body: Any, error: type[SidecarError], message: str, code: str, error_code: str, clock: Clock
) -> None:
    """A document that would send the proof elsewhere is refused; one without an endpoint may be followed by another."""
    with pytest.raises(error, match=f"^{re.escape(f'{WHERE}: {message}')}") as caught:
        await discovery(FakeHttp(answer(body)), clock).token_endpoint()

    assert isinstance(caught.value, Refused | Unreachable)
    assert (caught.value.code, caught.value.error_code) == (code, error_code)
    assert ("write the issuer exactly as the document names it" in caught.value.cure) == (code == "issuer_mismatch")
    assert (caught.value.endpoint, caught.value.status) == (WHERE, 200)


async def test_error_in_the_place_of_the_document(clock: Clock) -> None:
    """An `error` with status 200 is that error, with its code, its request id and its words."""
    members = {"error": "invalid_tenant", "error_description": "no such tenant", "trace_id": "T-1"}

    with pytest.raises(Refused) as caught:
        await discovery(FakeHttp(answer(members)), clock).token_endpoint()

    assert caught.value.code == "invalid_tenant"
    assert caught.value.quoted_cause.endswith('HTTP 200 (invalid_tenant, request T-1); it says "no such tenant"')


@pytest.mark.parametrize(
    ("members", "known"),
    [({"error": "E7"}, " (E7)"), ({"trace_id": "T-1"}, " (request T-1)"), ({"error": "E7", "trace_id": "T-1"}, None)],
)
async def test_refusal_names_what_is_known(members: dict[str, str], known: str | None, clock: Clock) -> None:
    """A refusal has the code and the request id of the answer, if the answer has them."""
    with pytest.raises(Refused) as caught:
        await discovery(FakeHttp(answer(members, 404)), clock).token_endpoint()

    assert caught.value.cause == f"{WHERE}: HTTP 404{known or ' (E7, request T-1)'}"


async def test_document_with_a_member_that_looks_like_an_error(clock: Clock) -> None:
    """A document with an issuer is a discovery document, even if it has members of an error."""
    http = FakeHttp(answer(document(code="E7", message="welcome")))

    assert await discovery(http, clock).token_endpoint() == f"{ISSUER}/token"
