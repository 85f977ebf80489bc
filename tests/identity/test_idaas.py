"""An M2M application of IDaaS: the checks of its settings, and the requests for its token."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.config.decode import convert
from app.core.checks import require
from app.core.connection import Connection, HttpConfiguration
from app.core.errors import ConfigError, Mistake, Refused
from app.core.values import Token
from app.identity import idaas
from app.identity.context import Reporter
from app.identity.idaas import IdaasIdentity
from app.identity.methods.method import ClientFacts

from ..conftest import identity as keys
from ..upstream.fake_http import FakeHttp, answer
from .contexts import NOW, context
from .test_jwt_claims import token

JWT = token({})
TOKEN = answer({"access_token": JWT, "expires_in": 600})
REFUSED = answer({"error": "invalid_client"}, 401)


def application(**changes: Any) -> IdaasIdentity:
    """Return an application with CLIENT_SECRET_POST."""
    return convert(keys() | changes, IdaasIdentity)


@pytest.mark.parametrize(
    ("changes", "message", "error_code"),
    [
        ({"idaasInstanceId": None}, "p.idaasInstanceId: required", "IDS-106"),
        ({"clientId": ""}, "p.clientId: required", "IDS-106"),
        ({"issuer": None}, "p.issuer: required", "IDS-106"),
        ({"tokenEndpoint": None}, "p.tokenEndpoint: required", "IDS-106"),
        ({"authnConfiguration": None}, "p.authnConfiguration: required", "IDS-106"),
        (
            {"issuer": "http://idaas.example.com"},
            "p.issuer: 'http://idaas.example.com' would send secrets in clear",
            "IDS-112",
        ),
        ({"scope": None}, "p.scope: required; write <audience>|<value>, such as api.example.com|.all", "IDS-106"),
        ({"scope": ""}, "p.scope: required; write <audience>|<value>, such as api.example.com|.all", "IDS-106"),
        ({"scope": "a|b c|d"}, "p.scope: names 2 audiences (a, c); a token has one", "IDS-111"),
        (
            {"tokenEndpoint": "http://idaas.example.com/token"},
            "p.tokenEndpoint: 'http://idaas.example.com/token'",
            "IDS-112",
        ),
        (
            {"authnConfiguration": {"authnMethod": "PKCS7"}},
            "p.authnConfiguration.applicationFederatedCredentialName: ",
            "IDS-106",
        ),
    ],
)
def test_incomplete_application_is_refused(changes: dict[str, Any], message: str, error_code: str) -> None:
    """Each key that the application needs is required, and is refused where it cannot work."""
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}") as caught:
        require(idaas.checks(application(**changes), "p"))

    assert caught.value.error_code == error_code


def test_subject_with_a_token_exchange_is_refused() -> None:
    """One token exchange after another is refused with its place."""
    inner = keys(tokenExchange={"subject": {"type": "tokenFile", "tokenFile": "/t"}})

    with pytest.raises(ConfigError, match=r"^p\.tokenExchange\.subject\.tokenExchange: one exchange after") as caught:
        require(idaas.checks(application(tokenExchange={"subject": inner}), "p"))

    assert caught.value.error_code == "IDS-113"


def test_facts_of_an_application() -> None:
    """The authentication method knows the identity's client, issuer, instance, scope, OpenAPI and connection."""
    plain = application(openApiEndpoint="eiam.example.com", connection={"proxy": "none"})
    exchanging = application(tokenExchange={"subject": {"type": "tokenFile", "tokenFile": "/t"}})

    assert idaas.facts(plain, "p") == ClientFacts(
        "p",
        keys()["clientId"],
        keys()["issuer"],
        Connection(proxy="none"),
        instance_id=keys()["idaasInstanceId"],
        scope=keys()["scope"],
        open_api_endpoint="eiam.example.com",
        exchanges_tokens=False,
    )
    assert idaas.facts(exchanging, "p").exchanges_tokens


class Recorder:
    """What a source reports."""

    def __init__(self) -> None:
        self.warnings: list[Mistake] = []
        self.expiries: list[tuple[str, float]] = []
        self.reporter = Reporter(lambda kind, end: self.expiries.append((kind, end)), self.warnings.append)


async def test_token_request() -> None:
    """The client's token is requested with the scope, on the configured connection with its time limits."""
    http = FakeHttp(TOKEN)
    connections: list[Any] = []

    def connect(*arguments: Any) -> FakeHttp:
        connections.append(arguments)
        return http

    found = application(connection={"proxy": "none"}, httpConfiguration={"readTimeout": 3000})
    surroundings = context(connect=connect, environ={"IDAAS_SECRET": "s"})

    assert await idaas.build(found, "p", surroundings, Recorder().reporter, None).token() == Token(JWT, NOW + 600)
    assert connections == [(Connection(proxy="none"), "p.connection", HttpConfiguration(read_timeout=3000))]
    (sent,) = http.sent
    assert (sent.method, sent.url) == ("POST", keys()["tokenEndpoint"])
    assert sent.fields == {
        "client_id": keys()["clientId"],
        "grant_type": "client_credentials",
        "scope": keys()["scope"],
        "client_secret": "s",
    }


class Subject:
    """The source of a subject's token."""

    async def token(self) -> Token:
        """Return a token."""
        return Token("subject-token", NOW + 60)


ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"


@pytest.mark.parametrize(
    ("types", "fields"),
    [
        ({}, {"subject_token_type": ACCESS_TOKEN, "requested_token_type": ACCESS_TOKEN}),
        ({"subjectTokenType": JWT_TYPE, "requestedTokenType": None}, {"subject_token_type": JWT_TYPE}),
        (
            {"requestedTokenType": JWT_TYPE},
            {"subject_token_type": ACCESS_TOKEN, "requested_token_type": JWT_TYPE},
        ),
    ],
)
async def test_token_exchange_request(types: dict[str, Any], fields: dict[str, str]) -> None:
    """A token exchange (RFC 8693) sends the subject's token, the types that are configured, and the scope."""
    http = FakeHttp(TOKEN)
    found = application(tokenExchange={"subject": {"type": "tokenFile", "tokenFile": "/t"}, **types})
    surroundings = context(http, environ={"IDAAS_SECRET": "s"})

    assert await idaas.build(found, "p", surroundings, Recorder().reporter, Subject()).token() == Token(JWT, NOW + 600)
    assert http.sent[0].fields == {
        "client_id": keys()["clientId"],
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": "subject-token",
        "scope": keys()["scope"],
        "client_secret": "s",
        **fields,
    }


async def test_new_secret_that_is_refused_is_replaced_by_the_previous_one() -> None:
    """A new secret that IDaaS does not know yet is refused: the previous one is used, with a warning."""
    environ = {"IDAAS_SECRET": "first"}
    http = FakeHttp(TOKEN, REFUSED, TOKEN, TOKEN)
    recorder = Recorder()
    source = idaas.build(application(), "p", context(http, environ=environ), recorder.reporter, None)
    await source.token()
    environ["IDAAS_SECRET"] = "second"

    found = [await source.token() for _ in range(2)]

    assert found == [Token(JWT, NOW + 600)] * 2
    assert [sent.fields["client_secret"] for sent in http.sent] == ["first", "second", "first", "second"]
    assert recorder.warnings == [
        "the new client secret or key is refused; the previous one still works and stays in use"
    ]
    assert [warning.error_code for warning in recorder.warnings] == ["IDS-301"]


async def test_assertion_that_is_accepted_the_second_time() -> None:
    """`invalid_client` is tried once more, since an assertion can be refused for its age; there is no warning."""
    http = FakeHttp(REFUSED, TOKEN)
    recorder = Recorder()
    ids = iter("12")
    surroundings = context(http, environ={"IDAAS_SECRET": "s"}, new_id=lambda: next(ids))
    identity = application(
        authnConfiguration={"authnMethod": "CLIENT_SECRET_JWT", "clientSecretEnvVarName": "IDAAS_SECRET"}
    )

    assert await idaas.build(identity, "p", surroundings, recorder.reporter, None).token() == Token(JWT, NOW + 600)
    assert recorder.warnings == []


async def test_secret_that_was_not_replaced_is_tried_once() -> None:
    """The same secret is not sent a second time: the server would count another failed login."""
    http = FakeHttp(REFUSED)
    recorder = Recorder()
    surroundings = context(http, environ={"IDAAS_SECRET": "s"})

    with pytest.raises(Refused, match="invalid_client"):
        await idaas.build(application(), "p", surroundings, recorder.reporter, None).token()

    assert [sent.fields["client_secret"] for sent in http.sent] == ["s"]
    assert recorder.warnings == []


@pytest.mark.parametrize(
    ("status", "code", "error_code"), [(400, "invalid_scope", "IDS-302"), (404, "no_such_path", "IDS-329")]
)
async def test_other_refusal_is_not_repeated(status: int, code: str, error_code: str) -> None:
    """Another refusal than of the client is final; 404 asks whether the URL is the token endpoint's."""
    http = FakeHttp(answer({"error": code}, status))
    surroundings = context(http, environ={"IDAAS_SECRET": "s"})

    with pytest.raises(Refused) as caught:
        await idaas.build(application(), "p", surroundings, Recorder().reporter, None).token()

    assert len(http.sent) == 1
    assert (caught.value.code, caught.value.error_code) == (code, error_code)
    assert ("copy the token endpoint's URL" in str(caught.value)) == (status == 404)
