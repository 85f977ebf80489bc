"""A real OpenID provider (npm oidc-provider) accepts the five ways in which the sidecar authenticates as a client.

The token is then exchanged at the emulated STS, which trusts the provider's keys. So the credentials prove that an
independent implementation issued the token.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from app.config.loader import load
from app.core.clocks import Clocks
from app.core.errors import Refused
from app.emulator import Emulator, Provider, World, listening
from app.emulator.crypto.pki import Authority, pem
from app.emulator.world.world import ACCOUNT, role_arn
from app.refresh.pipeline import Pipeline

from ..ports import unused_port
from .clients import NODE, in_ci
from .conftest import bare_environment

SECONDS = 30
AUDIENCE = "urn:example:sts"
PROVIDER_ARN = f"acs:ram::{ACCOUNT}:oidc-provider/second-opinion"
SECRET = "s3cr3t+/ %:=&-of-32-or-more-octets"

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(NODE.missing is not None and not in_ci(), reason=f"skipped: {NODE.missing}"),
]
SECRET_METHODS = ("client_secret_basic", "client_secret_post", "client_secret_jwt")
METHODS = (*SECRET_METHODS, "private_key_jwt", "tls_client_auth")


def private_pem(key: Any) -> str:
    """Return a private key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def registration(method: str, key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    """Return the registration of a client, with the members of RFC 7591."""
    more: dict[str, Any] = {}
    if method in SECRET_METHODS:
        more = {"client_secret": SECRET}
    elif method == "private_key_jwt":
        jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
        more = {"jwks": {"keys": [jwk]}, "token_endpoint_auth_signing_alg": "ES256"}
    elif method == "tls_client_auth":
        more = {"tls_client_auth_subject_dn": "CN=tls_client_auth"}
    return {
        "client_id": method,
        "token_endpoint_auth_method": method,
        "grant_types": ["client_credentials"],
        "response_types": [],
        "redirect_uris": [],
        "scope": "sts",
        **more,
    }


class Site:
    """The provider, the emulated cloud that trusts it, and the sidecar's settings for both."""

    def __init__(
        self, directory: Path, emulator: Emulator, cloud_url: str, issuer: str, environ: dict[str, str]
    ) -> None:
        self.directory = directory
        self.emulator = emulator
        self.cloud_url = cloud_url
        self.issuer = issuer
        self.environ = environ

    async def fetch(self, method: str, **changes: Any) -> None:
        """Fetch credentials by way of the provider."""
        authentication: dict[str, Any] = {"method": method}
        if method in SECRET_METHODS:
            authentication |= {"clientSecretEnvVarName": "SECRET"}
        elif method == "private_key_jwt":
            authentication |= {"privateKeyEnvVarName": "KEY"}
        identity = {
            "type": "oidcClient",
            "issuer": self.issuer,
            "clientId": method,
            "clientAuthentication": authentication | changes.pop("authentication", {}),
            "scope": "sts",
            "resource": AUDIENCE,
            "connection": {
                "certificateFile": str(self.directory / "tls.crt"),
                "privateKeyFile": str(self.directory / "tls.key"),
            }
            if method == "tls_client_auth"
            else {},
        } | changes
        exchange = {"roleArn": role_arn("default"), "oidcProviderArn": PROVIDER_ARN, "endpoints": [self.cloud_url]}
        path = self.directory / "config.json"
        profiles = {"default": {"identity": identity, "exchange": exchange}}
        path.write_text(json.dumps({"configVersion": "1.0", "profiles": profiles}))
        loaded = load(str(path), self.environ, hostname="host-1", now=time.time)
        pipeline = Pipeline(
            loaded.settings, self.environ, clocks=Clocks(time.time, time.monotonic), observe=lambda _: None
        )
        try:
            credentials = await pipeline.fetch("default")
        finally:
            await pipeline.aclose()
        assert credentials.access_key_id.startswith("STS.")


@asynccontextmanager
async def provider(config: dict[str, Any], directory: Path) -> AsyncIterator[None]:
    """Run the Node program while the block runs."""
    path = directory / "provider.json"
    path.write_text(json.dumps(config))
    missing = NODE.missing
    assert missing is None, missing
    environ = bare_environment(directory) | NODE.environment
    log = directory / "provider.log"
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *NODE.start("provider.js"), str(path), env=environ, stdout=asyncio.subprocess.PIPE, stderr=stderr
        )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(SECONDS):
            lines = [await process.stdout.readline()]
            while lines[-1] not in (b"ready\n", b""):
                lines.append(await process.stdout.readline())
        assert lines[-1] == b"ready\n", log.read_text()
        yield
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A provider with https: RAM accepts no other issuer."""
    async with open_site(tmp_path) as found:
        yield found


@asynccontextmanager
async def open_site(directory: Path) -> AsyncIterator[Site]:
    """Run a provider and an emulated cloud that trusts it."""
    key, signing = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
    port = unused_port()
    issuer = f"https://127.0.0.1:{port}"
    clients = [registration(method, key) for method in METHODS]
    jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(signing)) | {"use": "sig", "alg": "RS256", "kid": "k1"}
    config = {"port": port, "issuer": issuer, "audience": AUDIENCE, "clients": clients, "jwks": {"keys": [jwk]}}
    authority = Authority("second opinion", time.time)
    issued = authority.issue("tls_client_auth")
    (directory / "tls.crt").write_text(issued.leaf_pem + issued.chain_pem)
    (directory / "tls.key").write_text(issued.key_pem)
    ca_file = directory / "ca.pem"
    ca_file.write_text(pem(authority.root))
    environ = {"HOME": str(directory), "SECRET": SECRET, "KEY": private_pem(key), "SSL_CERT_FILE": str(ca_file)}
    server = authority.issue("localhost", server=True)
    config |= {"key": server.key_pem, "cert": server.leaf_pem + server.chain_pem, "ca": pem(authority.root)}
    async with provider(config, directory):
        async with httpx.AsyncClient(verify=False, trust_env=False) as http:
            jwks = (await http.get(f"{issuer}/jwks")).json()
        emulator = Emulator(trusting(issuer, jwks))
        async with listening(emulator, directory=directory) as addresses:
            yield Site(directory, emulator, addresses.url, issuer, environ)


def trusting(issuer: str, jwks: dict[str, Any]) -> World:
    """Return a world whose default role trusts the provider."""
    world = World.default()
    role = world.roles[role_arn("default")]
    condition = {"StringEquals": {"oidc:iss": [issuer], "oidc:aud": [AUDIENCE]}}
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Federated": PROVIDER_ARN},
        "Condition": condition,
    }
    return replace(
        world,
        oidc_providers={PROVIDER_ARN: Provider(issuer, (AUDIENCE,), jwks=jwks)},
        roles={role_arn("default"): replace(role, trust_policy={"Version": "1", "Statement": [statement]})},
    )


@pytest.mark.parametrize("method", [*SECRET_METHODS, "private_key_jwt"])
async def test_accepted(method: str, site: Site) -> None:
    """Each method is accepted at a discovered endpoint, with a secret full of characters that form encoding changes."""
    await site.fetch(method)


async def test_assertion_for_the_issuer(site: Site) -> None:
    """An assertion whose audience is the issuer is accepted, as some providers require."""
    await site.fetch("private_key_jwt", authentication={"assertionAudience": "issuer"})
    await site.fetch("client_secret_jwt", authentication={"assertionAudience": "issuer"})


async def test_mutual_tls(tmp_path: Path) -> None:
    """The client's certificate authenticates it; changed certificate and key files are used by the next request."""
    async with open_site(tmp_path) as site:
        await site.fetch("tls_client_auth")
        other = Authority("another CA", time.time).issue("tls_client_auth")
        (tmp_path / "tls.crt").write_text(other.leaf_pem)
        (tmp_path / "tls.key").write_text(other.key_pem)
        with pytest.raises(Refused, match="invalid_client"):
            await site.fetch("tls_client_auth")


async def test_wrong_secret_is_refused(site: Site) -> None:
    """The provider refuses a wrong secret."""
    site.environ["SECRET"] = "another-secret-of-32-or-more-octets"
    for method in SECRET_METHODS:
        with pytest.raises(Refused, match="invalid_client"):
            await site.fetch(method)
