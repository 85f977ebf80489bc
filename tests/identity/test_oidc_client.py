"""A client of any OpenID provider: discovery, tokens, and the validation of its settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.core.errors import ConfigError, Refused, Unreachable
from app.emulator import Fault

from ..clock import Clock
from ..conftest import Offline
from ..workload import Workload
from .identities import oidc_client, one_profile, sts_exchange

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
        (Fault("workload", status=404), Refused, "HTTP 404: is that the issuer's URL"),
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
        ({"connection": {"proxy": "socks5://p:1"}}, "connection.proxy: not a proxy"),
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
