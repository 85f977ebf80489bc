"""A client of any OpenID provider: discovery, tokens, and the validation of its settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jwt
import pytest

from app.config.decode import convert
from app.core.checks import require
from app.core.connection import Connection, HttpConfiguration
from app.core.errors import ConfigError, Refused, Unreachable
from app.core.values import Token
from app.emulator import Fault
from app.emulator.world.world import OIDC_CLIENT_ID
from app.identity import oidc_client as module
from app.identity.context import Reporter
from app.identity.discovery import FRESH_SECONDS
from app.identity.oidc_client import OidcClientIdentity

from ..clock import Clock
from ..conftest import Offline
from ..upstream.fake_http import FakeHttp, Sent, answer
from ..workload import Workload
from .contexts import NOW, context
from .identities import oidc_client, one_profile, sts_exchange
from .test_jwt_claims import token

Build = Callable[..., Offline]


async def test_discovery_document_is_cached_for_an_hour(workload: Workload, offline: Build, clock: Clock) -> None:
    """The document is cached for an hour, and a cached one is used longer if a new one cannot be fetched."""
    sidecar = offline(
        one_profile(oidc_client("client_secret_post")(workload), sts_exchange("command")), workload.environ
    )
    await sidecar.fetch()
    clock.skip(1200)
    await sidecar.fetch()
    requests = [
        call.fields.get("grant_type", "discovery") for call in workload.emulator.journal if call.kind == "workload"
    ]
    clock.skip(3000)
    workload.emulator.faults.add(Fault("workload", status=503))
    await sidecar.fetch()

    assert requests == ["discovery", "client_credentials", "client_credentials"]


async def test_id_token_can_be_used(workload: Workload, offline: Build) -> None:
    """With `tokenUse` set to `id_token`, STS gets the provider's id token instead of its access token."""
    identity = oidc_client("client_secret_post")(workload) | {"scope": "openid", "tokenUse": "id_token"}

    await offline(one_profile(identity, sts_exchange("command")), workload.environ).fetch()

    assert workload.emulator.journal[-1].outcome == "ok"


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (Fault("workload", status=404), Refused, "HTTP 404 .*: correct the issuer, or set tokenEndpoint"),
        (Fault("workload", status=500), Unreachable, "HTTP 500"),
        (
            Fault("workload", body=b'{"issuer": "https://other.example"}'),
            Refused,
            "another issuer, 'https://other.example', than the configured 'https://",
        ),
        (Fault("workload", body=b'{"issuer": "ISSUER"}'), Unreachable, "names no token_endpoint"),
        (
            Fault("workload", body=b'{"issuer": "ISSUER", "token_endpoint": "http://elsewhere.example/token"}'),
            Refused,
            "its token_endpoint is not an https URL",
        ),
        (Fault("workload", body=b"<html>", content_type="text/html"), Unreachable, "bytes of HTML"),
    ],
)
async def test_bad_discovery_document_is_refused(
    fault: Fault, error: type[Exception], message: str, workload: Workload, offline: Build
) -> None:
    """A document of another issuer, or with an endpoint that must not get a secret, is refused."""
    identity = oidc_client("client_secret_post")(workload)
    body = fault.body.replace(b"ISSUER", identity["issuer"].encode()) if fault.body else None
    workload.emulator.faults.add(replace(fault, body=body))

    with pytest.raises(error, match=message):
        await offline(one_profile(identity, sts_exchange("command")), workload.environ).fetch()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"issuer": None}, "identity.issuer: required, unless tokenEndpoint is set"),
        ({"issuer": "http://idp.example.com"}, "identity.issuer: .* would send secrets in clear"),
        ({"clientId": ""}, "identity.clientId"),
        ({"clientAuthentication": {"method": "tls_client_auth"}}, "connection.certificateFile: required with tls"),
        (
            {"issuer": None, "tokenEndpoint": "https://idp.example.com/token"}
            | {
                "clientAuthentication": {
                    "method": "client_secret_jwt",
                    "clientSecretEnvVarName": "OIDC_SECRET",
                    "assertionAudience": "issuer",
                }
            },
            "identity.issuer: required where assertionAudience is issuer",
        ),
        ({"connection": {"privateKeyFile": "/k"}}, "connection.privateKeyFile: needs certificateFile"),
        ({"connection": {"proxy": "socks5://p:1"}}, "connection.proxy: a SOCKS proxy"),
        ({"connection": {"caFile": "/nowhere.pem"}}, "connection.caFile: /nowhere.pem: no such file"),
        ({"connection": {"certificateFile": "/nowhere.pem"}}, "connection.certificateFile: /nowhere.pem: no such file"),
    ],
)
def test_invalid_oidc_client_is_refused(
    changes: dict[str, Any], message: str, workload: Workload, loaded: Callable[..., Any]
) -> None:
    """Missing or contradictory settings are reported when the configuration is loaded."""
    identity = oidc_client("client_secret_post")(workload) | changes

    with pytest.raises(ConfigError, match=message):
        loaded(one_profile(identity, sts_exchange("command")), workload.environ)


NO_REPORTS = Reporter(lambda _kind, _end: None, lambda _sentence: None)
ISSUER = "https://idp.example.com"
DOCUMENT_URL = f"{ISSUER}/.well-known/openid-configuration"
MTLS = {"mtls_endpoint_aliases": {"token_endpoint": "https://mtls.example.com/token"}}
DOCUMENT = answer({"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token", **MTLS})
JWT = token({})
TOKEN = answer({"access_token": JWT, "expires_in": 600})
POST_SECRET = {"method": "client_secret_post", "clientSecretEnvVarName": "SECRET"}


def client(**changes: Any) -> OidcClientIdentity:
    """Return a client with client_secret_post."""
    keys = {"type": "oidcClient", "clientId": "c-1", "issuer": ISSUER, "clientAuthentication": POST_SECRET}
    return convert(keys | changes, OidcClientIdentity)


async def requested(identity: OidcClientIdentity, *answers: Any) -> list[Sent]:
    """Return the requests for the client's token, which they obtain."""
    http = FakeHttp(*answers)
    source = module.build(identity, "p", context(http, environ={"SECRET": "s"}), NO_REPORTS)

    assert await source.token() == Token(JWT, NOW + 600)
    return http.sent


ALL = {"scope": "s-1 s-2", "audience": "a-1", "resource": "urn:r-1"}


@pytest.mark.parametrize("parameters", [{}, ALL, {"scope": ""}], ids=["none", "all", "empty"])
async def test_configured_parameters_are_sent(parameters: dict[str, str]) -> None:
    """`scope`, `audience` and `resource` are sent as far as they are configured."""
    (sent,) = await requested(client(tokenEndpoint=f"{ISSUER}/own", **parameters), TOKEN)

    assert (sent.method, sent.url) == ("POST", f"{ISSUER}/own")
    assert sent.fields == {
        "client_id": "c-1",
        "grant_type": "client_credentials",
        "client_secret": "s",
        **{name: value for name, value in parameters.items() if value},
    }


@pytest.mark.parametrize(
    ("method", "endpoint"),
    [(POST_SECRET, f"{ISSUER}/token"), ({"method": "tls_client_auth"}, "https://mtls.example.com/token")],
)
async def test_endpoint_is_discovered(method: dict[str, str], endpoint: str) -> None:
    """Without a token endpoint the issuer's document names it; a client with a certificate has one of its own."""
    sent = await requested(client(clientAuthentication=method), DOCUMENT, TOKEN)

    assert [(item.method, item.url) for item in sent] == [("GET", DOCUMENT_URL), ("POST", endpoint)]


@pytest.mark.parametrize("failure", [answer({}, 404), answer({}, 503), Unreachable("refused")])
async def test_endpoint_that_moved_while_the_issuer_was_down(failure: Any, clock: Clock) -> None:
    """The first request to the old endpoint fails, and the next one goes to the new endpoint."""
    moved = answer({"issuer": ISSUER, "token_endpoint": f"{ISSUER}/new"})
    http = FakeHttp(DOCUMENT, TOKEN, answer({}, 503), failure, moved, TOKEN)
    surroundings = context(http, environ={"SECRET": "s"}, now=clock.time)
    source = module.build(client(), "p", surroundings, NO_REPORTS)
    await source.token()
    clock.skip(FRESH_SECONDS)
    with pytest.raises((Refused, Unreachable)):
        await source.token()
    await source.token()

    asked = [item.url.removeprefix(ISSUER) for item in http.sent if item.method == "POST"]
    assert asked == ["/token", "/token", "/new"]


@pytest.mark.parametrize("method", ["client_secret_jwt", "private_key_jwt"])
@pytest.mark.parametrize(
    ("configured", "audience"),
    [
        ({}, f"{ISSUER}/token"),
        ({"assertionAudience": "tokenEndpoint"}, f"{ISSUER}/token"),
        ({"assertionAudience": "issuer"}, ISSUER),
    ],
    ids=["default", "tokenEndpoint", "issuer"],
)
async def test_audience_of_the_assertion(
    method: str, configured: dict[str, str], audience: str, workload: Workload
) -> None:
    """The assertion is for the token endpoint, or for the issuer where the provider requires that."""
    keys = {"privateKeyFile": workload.register_key(OIDC_CLIENT_ID)} if method == "private_key_jwt" else None
    authentication = {"method": method, **(keys or {"clientSecretEnvVarName": "SECRET"}), **configured}

    identity = client(clientAuthentication=authentication, tokenEndpoint=f"{ISSUER}/token")

    (sent,) = await requested(identity, TOKEN)

    used = identity.client_authentication.assertion_audience
    assert used == configured.get("assertionAudience", "tokenEndpoint")
    claims = jwt.decode(sent.fields["client_assertion"], options={"verify_signature": False})
    assert (claims["aud"], claims["iss"], claims["sub"], claims["jti"]) == (audience, "c-1", "c-1", "id-1")


async def test_connection_of_a_client() -> None:
    """The provider is reached as configured, and its time limits apply."""
    connections: list[Any] = []

    def connect(*arguments: Any) -> FakeHttp:
        connections.append(arguments)
        return FakeHttp()

    identity = client(connection={"proxy": "none"}, httpConfiguration={"readTimeout": 3000})
    module.build(identity, "p", context(connect=connect), NO_REPORTS)

    assert connections == [(Connection(proxy="none"), "p.connection", HttpConfiguration(read_timeout=3000))]


async def test_token_endpoint_with_a_query() -> None:
    """The query of a token endpoint is kept (RFC 6749 3.2), and messages leave it out."""
    http = FakeHttp(answer({"error": "invalid_client"}, 401))
    identity = client(tokenEndpoint=f"{ISSUER}/token?p=b2c_1_signin&x=%20")
    require(module.checks(identity, "p"))
    with pytest.raises(Refused, match="invalid_client") as caught:
        await module.build(identity, "p", context(http, environ={"SECRET": "s"}), NO_REPORTS).token()

    assert [sent.url for sent in http.sent] == [identity.token_endpoint]
    assert "b2c_1_signin" not in str(caught.value)
    for url in (f"{ISSUER}/token?", f"{ISSUER}/token?a#b", f"{ISSUER}/token?a b", "http://idp.example.com/token?a"):
        with pytest.raises(ConfigError, match=r"^p\.tokenEndpoint: "):
            require(module.checks(client(tokenEndpoint=url), "p"))


async def test_refused_new_secret_is_replaced_by_the_previous_one() -> None:
    """A new secret that the provider does not know yet is refused: the previous one is used, with a warning."""
    environ, warnings = {"SECRET": "first"}, list[str]()
    http = FakeHttp(TOKEN, answer({"error": "invalid_client"}, 401), TOKEN)
    reporter = Reporter(lambda _kind, _end: None, warnings.append)
    source = module.build(client(tokenEndpoint=f"{ISSUER}/token"), "p", context(http, environ=environ), reporter)
    await source.token()
    environ["SECRET"] = "second"

    assert await source.token() == Token(JWT, NOW + 600)
    assert [sent.fields["client_secret"] for sent in http.sent] == ["first", "second", "first"]
    assert warnings == ["the new client secret or key is refused; the previous one still works and stays in use"]


def test_client_without_issuer_and_token_endpoint_is_refused() -> None:
    """A client names its issuer or its token endpoint."""
    with pytest.raises(ConfigError, match=r"^p\.issuer: required, unless tokenEndpoint is set$") as caught:
        require(module.checks(client(issuer=None), "p"))

    assert caught.value.error_code == "IDS-106"


def test_place_of_the_method() -> None:
    """An error of the authentication method names its key."""
    with pytest.raises(ConfigError, match=r"^p\.clientAuthentication: clientSecretEnvVarName or clientSecretFile"):
        module.build(
            client(clientAuthentication={"method": "client_secret_post"}),
            "p",
            context(),
            NO_REPORTS,
        )


async def test_token_use_of_a_client() -> None:
    """With `tokenUse` the id token is presented, with its own end."""
    id_token = token({"exp": NOW + 300})
    response = answer({"access_token": JWT, "id_token": id_token, "expires_in": 600})
    found = {
        use: await module.build(
            client(tokenEndpoint=f"{ISSUER}/token", **use_key),
            "p",
            context(FakeHttp(response), environ={"SECRET": "s"}),
            NO_REPORTS,
        ).token()
        for use, use_key in (("default", {}), ("id_token", {"tokenUse": "id_token"}))
    }

    assert found == {"default": Token(JWT, NOW + 600), "id_token": Token(id_token, NOW + 300)}
