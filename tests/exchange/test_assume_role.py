"""AssumeRole of a chained role: the signed request, and the end of the session."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.errors import Refused
from app.core.values import Credentials
from app.exchange.assume_role import AssumeRole
from app.upstream.acs3 import KeyPair, acs3

from ..upstream.fake_http import FakeHttp, answer

NOW = 1_767_323_045.0
ENDPOINT = "https://sts.example.com:8443"
VALUES = {"AccessKeyId": "STS.next", "AccessKeySecret": "of-next", "SecurityToken": "token-next"}
SESSION = answer({"Credentials": {**VALUES, "Expiration": "2026-01-02T04:04:05Z"}, "RequestId": "R-2"})
GIVEN = {"policy": '{"Version":"1"}', "external_id": "ext-1", "source_identity": "app-1"}


def action(http: FakeHttp, **given: Any) -> AssumeRole:
    """Return the action for one role and one endpoint."""
    optional: dict[str, Any] = {"policy": None, "external_id": None, "source_identity": None, **given}
    return AssumeRole(
        http, (ENDPOINT,), "role", "session-1", 900, now=lambda _: NOW, new_id=lambda: "nonce-1", **optional
    )


def parent(seconds: float = 1_800) -> Credentials:
    """Return the previous session of the chain, which ends in `seconds`."""
    return Credentials("STS.first", "of-first", "token-first", issued_at=NOW, expires_at=NOW + seconds)


@pytest.mark.parametrize(
    ("given", "extra", "names"),
    [
        ({}, "", {}),
        (
            GIVEN,
            "&ExternalId=ext-1&Policy=%7B%22Version%22%3A%221%22%7D&RoleArn=role&RoleSessionName=session-1"
            "&SourceIdentity=app-1",
            {"Policy": '{"Version":"1"}', "ExternalId": "ext-1", "SourceIdentity": "app-1"},
        ),
    ],
    ids=["required parameters", "all parameters"],
)
async def test_request_is_signed_by_the_previous_session(
    given: dict[str, str], extra: str, names: dict[str, str]
) -> None:
    """The URL has exactly the parameters that are configured, and the keys of the previous session sign them."""
    http = FakeHttp(SESSION)

    await action(http, **given).assume(parent())

    query = {"RoleArn": "role", "RoleSessionName": "session-1", "DurationSeconds": "900", **names}
    headers = acs3(
        "sts.example.com:8443",
        query,
        action="AssumeRole",
        version="2015-04-01",
        keys=KeyPair("STS.first", "of-first", "token-first"),
        at=NOW,
        nonce="nonce-1",
    )
    tail = extra or "&RoleArn=role&RoleSessionName=session-1"
    (sent,) = http.sent
    assert (sent.method, sent.url) == ("POST", f"{ENDPOINT}/?DurationSeconds=900{tail}")
    assert (sent.fields, sent.headers) == ({}, headers)


@pytest.mark.parametrize(("left", "seconds"), [(1_800, 1_800), (7_200, 3_600)], ids=["the parent ends", "it ends"])
async def test_session_does_not_outlive_its_parent(left: float, seconds: float) -> None:
    """The session ends with its parent's or with its own end, whichever is earlier."""
    found = await action(FakeHttp(SESSION)).assume(parent(left))

    assert found == Credentials(
        "STS.next", "of-next", "token-next", issued_at=NOW, expires_at=NOW + seconds, request_id="R-2"
    )


async def test_refusal_is_an_error() -> None:
    """An answer other than 200 is an error that names the endpoint and STS's code."""
    http = FakeHttp(answer({"Code": "EntityNotExist.Role"}, 404))

    with pytest.raises(Refused, match=f"^{ENDPOINT}: HTTP 404 EntityNotExist.Role"):
        await action(http).assume(parent())


async def test_error_with_status_200_is_that_error() -> None:
    """An answer that succeeded without credentials, and with a code, is the refusal that its code stands for."""
    http = FakeHttp(answer({"Code": "NoPermission", "Message": "denied"}))

    with pytest.raises(Refused, match="HTTP 200 NoPermission"):
        await action(http).assume(parent())


async def test_refusal_does_not_quote_the_secret() -> None:
    """The secret of the previous session is removed from STS's words, although no header carries it."""
    http = FakeHttp(answer({"Code": "SignatureDoesNotMatch", "Message": "signed with of-first&secret"}, 400))

    with pytest.raises(Refused) as caught:
        await action(http).assume(parent())

    assert "of-first" not in f"{caught.value} {caught.value.cloud_message}"


async def test_cure_of_a_page_is_to_correct_the_url_of_sts() -> None:
    """If a page replaces the answer of STS, the cure is to correct the URL."""
    http = FakeHttp(answer("<html><title>404</title></html>", 404))

    with pytest.raises(Refused, match="correct the URL of STS; if it is right, list its host"):
        await action(http).assume(parent())


async def test_credentials_count_before_a_code_beside_them() -> None:
    """An answer with status 200 and credentials is a success, whatever code stands beside them."""
    session = {"Credentials": {**VALUES, "Expiration": "2026-01-02T04:04:05Z"}, "Code": "Accepted"}

    found = await action(FakeHttp(answer(session))).assume(parent())

    assert found.access_key_id == "STS.next"
