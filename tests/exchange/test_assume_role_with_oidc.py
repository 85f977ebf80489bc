"""AssumeRoleWithOIDC: its request, and the tokens that are not sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from app.core.errors import Refused, Unreachable
from app.core.values import Credentials, Token
from app.exchange.assume_role_with_oidc import AssumeRoleWithOidc

from ..upstream.fake_http import FakeHttp, Sent, answer

NOW = 1_767_323_045.0
ENDPOINT = "https://sts.example.com"
VALUES = {"AccessKeyId": "STS.id", "AccessKeySecret": "secret", "SecurityToken": "token"}
SESSION = answer({"Credentials": {**VALUES, "Expiration": "2026-01-02T04:04:05Z"}, "RequestId": "R-1"})
CREDENTIALS = Credentials("STS.id", "secret", "token", issued_at=NOW, expires_at=NOW + 3_600, request_id="R-1")


def action(
    http: FakeHttp, policy: str | None = None, verified: Callable[[Mapping[str, str]], None] = lambda _info: None
) -> AssumeRoleWithOidc:
    """Return the action for one role and one endpoint."""
    return AssumeRoleWithOidc(http, (ENDPOINT,), "role", "provider", "session-1", 900, policy, lambda _: NOW, verified)


@pytest.mark.parametrize(
    ("policy", "fields"), [(None, {}), ("{}", {"Policy": "{}"}), ("", {"Policy": ""})], ids=["no policy", "{}", "empty"]
)
async def test_request_has_the_token_in_its_form(policy: str | None, fields: dict[str, str]) -> None:
    """The URL says what is asked and when; the form has the token, the role and, if configured, the policy."""
    http = FakeHttp(SESSION)

    found = await action(http, policy).credentials(Token("e30.e30.c2ln", NOW + 60))

    url = f"{ENDPOINT}/?Action=AssumeRoleWithOIDC&Version=2015-04-01&Format=JSON&Timestamp=2026-01-02T03%3A04%3A05Z"
    form = {
        "RoleArn": "role",
        "OIDCProviderArn": "provider",
        "OIDCToken": "e30.e30.c2ln",
        "RoleSessionName": "session-1",
        "DurationSeconds": "900",
    }
    assert http.sent == [Sent("POST", url, form | fields, {})]
    assert found == CREDENTIALS


@pytest.mark.parametrize("length", [4, 5, 19_999, 20_000])
async def test_longest_and_shortest_token_is_sent(length: int) -> None:
    """STS takes tokens of 4 to 20,000 characters."""
    http = FakeHttp(SESSION)

    assert await action(http).credentials(Token("x" * length, NOW + 60)) == CREDENTIALS
    assert http.sent[0].fields["OIDCToken"] == "x" * length


@pytest.mark.parametrize("length", [0, 3, 20_001])
async def test_token_that_sts_refuses_by_its_length_is_not_sent(length: int) -> None:
    """A token that STS refuses by its length causes no request, and a new one of the issuer would not be shorter."""
    http = FakeHttp(SESSION)

    with pytest.raises(Refused) as caught:
        await action(http).credentials(Token("x" * length, NOW + 60))

    assert str(caught.value) == f"the OIDC token has {length} characters; STS takes 4 to 20000"
    assert (caught.value.status, caught.value.code, caught.value.renew_token) == (0, "token_length", False)
    assert caught.value.error_code == "IDS-421"
    assert not http.sent


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [(403, "AuthenticationFail.NoPermission", Refused), (503, "ServiceUnavailable", Unreachable)],
)
async def test_error_names_the_endpoint(status: int, code: str, error: type[Exception]) -> None:
    """An answer other than 200 is an error that names the endpoint and STS's code."""
    http = FakeHttp(answer({"Code": code}, status))

    with pytest.raises(error, match=f"^{ENDPOINT}: HTTP {status} {code}"):
        await action(http).credentials(Token("e30.e30.c2ln", NOW + 60))


INFO = {
    "Issuer": "https://issuer.example.com",
    "Subject": "app_example",
    "ClientIds": "audience",
    "IssuanceTime": "2026-01-02T03:04:05Z",
    "ExpirationTime": "2026-01-02T04:04:05Z",
    "VerificationInfo": "Success",
}
"""What STS says about a token that it has verified."""


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (INFO, INFO),
        ({**INFO, "Subject": 7, "Other": "x"}, {name: INFO[name] for name in INFO if name != "Subject"}),
        ({"Issuer": "a\nb"}, {"Issuer": "a b"}),
        (None, {}),
        (["Issuer"], {}),
    ],
    ids=["all", "no text, and unknown", "two lines", "missing", "a list"],
)
async def test_token_info_is_handed_on(said: Any, found: dict[str, str]) -> None:
    """The text members of OIDCTokenInfo, which `doctor` shows, are handed on; nothing else is."""
    seen: list[Mapping[str, str]] = []
    body = {"Credentials": {**VALUES, "Expiration": "2026-01-02T04:04:05Z"}, "OIDCTokenInfo": said}

    await action(FakeHttp(answer(body)), verified=seen.append).credentials(Token("e30.e30.c2ln", NOW + 60))

    assert seen == [found]


@pytest.mark.parametrize("token", ["token-of-the-client", f"eyJhbGciOiJSUzI1NiJ9.{'eyJzdWIiOiJhIn0' * 3}.c2lnbmF0dXJl"])
async def test_token_info_does_not_repeat_the_token(token: str) -> None:
    """A member with a part of the token is left out: `doctor` shows the others."""
    seen: list[Mapping[str, str]] = []
    info = {"Issuer": INFO["Issuer"], "Subject": f"the {token} is fine"}
    body = answer({"Credentials": {**VALUES, "Expiration": "2026-01-02T04:04:05Z"}, "OIDCTokenInfo": info})

    http = FakeHttp(replace(body, sent=(token,)))
    await action(http, verified=seen.append).credentials(Token(token, NOW + 60))

    assert seen == [{"Issuer": INFO["Issuer"]}]


async def test_cure_of_a_page_is_to_correct_the_url_of_sts() -> None:
    """If a page replaces the answer of STS, the cure is to correct the URL."""
    with pytest.raises(Refused, match="correct the URL of STS; if it is right, list its host"):
        await action(FakeHttp(answer("<html>", 404))).credentials(Token("e30.e30.c2ln", NOW + 60))


async def test_credentials_count_before_a_code_beside_them() -> None:
    """An answer with status 200 and credentials is a success, whatever code stands beside them."""
    body = {"Credentials": {**VALUES, "Expiration": "2026-01-02T04:04:05Z"}, "RequestId": "R-1", "Code": "Accepted"}

    assert await action(FakeHttp(answer(body))).credentials(Token("e30.e30.c2ln", NOW + 60)) == CREDENTIALS
