"""The fetch of a token and of a session from a cloud with prepared answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from cryptography import x509

from app.core.connection import Connection
from app.core.errors import Refused, Unreachable
from app.core.events import IdentityExpiry, Warned
from app.core.formats import timestamp
from app.emulator.world.world import CHAINED_ROLE_ARN
from app.refresh.connections import Route

from ..clock import Clock
from ..conftest import Offline, configuration, exchange, identity

Build = Callable[..., Offline]


def token(**claims: Any) -> str:
    """Return an unsigned JWT with these claims."""
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.c2ln"


class PreparedCloud(httpx.AsyncBaseTransport):
    """Give one token to all, and refuse it with `code` if there is one."""

    def __init__(self, clock: Clock, token: str = "", code: str = "") -> None:
        self.clock, self.token, self.code = clock, token, code
        self.calls: list[str] = []
        self.routes: list[Route] = []
        self.closed = 0

    def route(self, route: Route) -> httpx.AsyncBaseTransport:
        """Return the transport of a route: this object."""
        self.routes.append(route)
        return self

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        kind = "token" if request.url.path.endswith("/token") else "sts"
        self.calls.append(kind)
        body: dict[str, Any] = {"access_token": self.token, "expires_in": 1200}
        if kind == "sts":
            keys = {"AccessKeyId": "STS.x", "AccessKeySecret": "secret", "SecurityToken": "token"}
            body = {"Credentials": keys | {"Expiration": timestamp(self.clock.time() + 3600)}}
        if kind == "sts" and self.code:
            refusal = {"Code": self.code, "Message": "not valid yet", "RequestId": "R-1"}
            return httpx.Response(400, stream=httpx.ByteStream(json.dumps(refusal).encode()))
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps(body).encode()))

    async def aclose(self) -> None:
        self.closed += 1


EXPIRED, NO_PERMISSION = "AuthenticationFail.OIDCToken.Expired", "AuthenticationFail.NoPermission"


@pytest.mark.parametrize("ahead", [0.5, 5.0, 600.0])
async def test_token_of_the_future_is_sent_again_when_it_is_valid(ahead: float, offline: Build, clock: Clock) -> None:
    """STS refuses a token whose iat is in its future: the token is kept, and the next attempt comes at its iat."""
    cloud = PreparedCloud(clock, token(iat=clock.time() + ahead), EXPIRED)
    with pytest.raises(Unreachable) as caught:
        await offline(transport=cloud.route).fetch()

    assert str(caught.value).endswith(
        f'; its iat is {ahead:.0f} s ahead of the clock there: the issuer\'s clock is wrong; it says "not valid yet"'
    )
    error = caught.value
    assert (error.retry_after, error.code, error.error_code) == (pytest.approx(ahead), EXPIRED, "IDS-214")
    assert (error.status, error.request_id, error.cloud_message) == (400, "R-1", "not valid yet")
    assert error.endpoint == "http://127.0.0.1:7080"
    assert cloud.calls == ["token", "sts"]


@pytest.mark.parametrize(
    ("ahead", "code", "calls"),
    [
        (0.0, EXPIRED, ["token", "sts", "token"]),
        (-5.0, EXPIRED, ["token", "sts", "token"]),
        (5.0, NO_PERMISSION, ["token", "sts"]),
    ],
)
async def test_other_refusals_do_not_wait_for_the_token(
    ahead: float, code: str, calls: list[str], offline: Build, clock: Clock
) -> None:
    """
    Another token is requested once if the refused token is already valid. The same token is not presented again.

    A refusal that is not about the token is final.
    """
    cloud = PreparedCloud(clock, token(iat=clock.time() + ahead), code)
    with pytest.raises(Refused) as caught:
        await offline(transport=cloud.route).fetch()

    assert (caught.value.code, cloud.calls) == (code, calls)


async def test_end_of_a_token_file_is_reported(offline: Build, clock: Clock, tmp_path: Path) -> None:
    """The end of a token from a file is reported, because its writer must replace it."""
    end = clock.time() + 900
    (tmp_path / "token").write_text(token(exp=end))
    by_file = {"type": "tokenFile", "tokenFile": str(tmp_path / "token")}
    sidecar = offline(
        configuration(profiles={"default": {"identity": by_file, "exchange": exchange()}}),
        transport=PreparedCloud(clock).route,
    )
    await sidecar.fetch()

    assert [item for item in sidecar.events if isinstance(item, IdentityExpiry)] == [
        IdentityExpiry("default", "tokenFile", end)
    ]


@pytest.mark.parametrize("readable", [True, False])
async def test_end_of_a_client_certificate_is_reported(
    readable: bool, offline: Build, clock: Clock, tmp_path: Path
) -> None:
    """The end of the client certificate for the token endpoint is reported to each profile, if it can be read."""
    pem = trustme.CA().issue_cert("client.example.com").private_key_and_cert_chain_pem.bytes()
    path = tmp_path / "tls.pem"
    path.write_bytes(pem)
    connection = {"certificateFile": str(path)}
    profiles = {name: {"identity": identity(connection=connection), "exchange": exchange()} for name in ("a", "b")}
    sidecar = offline(
        configuration(profiles=profiles), transport=PreparedCloud(clock, token(exp=clock.time() + 900)).route
    )
    if not readable:
        path.unlink()
    for name in ("a", "b"):
        await sidecar.fetch(name)

    end = x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()
    assert [item for item in sidecar.events if isinstance(item, IdentityExpiry)] == (
        [IdentityExpiry(name, "tlsCertificate", end) for name in ("a", "b")] if readable else []
    )


async def test_each_leg_has_its_connection(offline: Build, clock: Clock) -> None:
    """Identity, exchange and chained role have connections of their own; a chained role's default is the exchange's."""
    chain = [{"roleArn": CHAINED_ROLE_ARN}, {"roleArn": CHAINED_ROLE_ARN, "connection": {"proxy": "http://chain:3"}}]
    profile = {
        "identity": identity(connection={"proxy": "http://identity:1"}),
        "exchange": exchange(connection={"proxy": "http://exchange:2"}),
        "chain": chain,
    }
    cloud = PreparedCloud(clock)
    sidecar = offline(configuration(profiles={"default": profile}), transport=cloud.route)
    await sidecar.pipeline.aclose()

    assert {(route.place, route.connection) for route in cloud.routes} == {
        ("profiles.default.identity.connection", Connection(proxy="http://identity:1")),
        ("profiles.default.exchange.connection", Connection(proxy="http://exchange:2")),
        ("profiles.default.chain[1].connection", Connection(proxy="http://chain:3")),
    }
    assert cloud.closed == 3


CLAIMS = {"iss": "https://other.example.com", "aud": "other", "sub": "other"}
OIDC_CLIENT = {
    "type": "oidcClient",
    "issuer": "http://127.0.0.1:7080",
    "tokenEndpoint": "http://127.0.0.1:7080/token",
    "clientId": "client-1",
    "clientAuthentication": {"method": "client_secret_post", "clientSecretEnvVarName": "IDAAS_SECRET"},
    "audience": "api.example.com",
}


@pytest.mark.parametrize(
    ("changes", "compared"),
    [
        ({}, ["iss", "aud", "sub"]),
        ({"identity": OIDC_CLIENT}, ["iss", "aud"]),
        ({"identity": "exchanged"}, ["iss", "aud"]),
        ({"identity": "file"}, []),
    ],
    ids=["idaas", "oidcClient", "token exchange", "token file"],
)
async def test_claims_are_compared_with_what_is_configured(
    changes: dict[str, Any], compared: list[str], offline: Build, clock: Clock, tmp_path: Path
) -> None:
    """Issuer, audience and subject are compared as far as the configuration says what STS will find."""
    (tmp_path / "token").write_text(token(**CLAIMS, exp=clock.time() + 900))
    by_file = {"type": "tokenFile", "tokenFile": str(tmp_path / "token")}
    exchanged = identity(tokenExchange={"subject": by_file})
    found = {"exchanged": exchanged, "file": by_file}.get(str(changes.get("identity")), changes.get("identity"))
    profile = {"identity": found or identity(), "exchange": exchange()}
    sidecar = offline(
        configuration(profiles={"default": profile}),
        transport=PreparedCloud(clock, token(**CLAIMS, exp=clock.time() + 900)).route,
    )
    await sidecar.fetch()

    warnings = [item.message for item in sidecar.events if isinstance(item, Warned)]
    assert [sentence.split()[2] for sentence in warnings] == compared
