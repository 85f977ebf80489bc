"""Fixtures: the emulator in process, with a clock that only tests advance."""

import base64
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from random import Random
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.api_jws import PyJWS

from app.emulator import Emulator, World
from app.emulator.world.world import CLIENT_ID, CLIENT_SECRET, PROVIDER_ARN, SCOPE, role_arn

BASE = "http://127.0.0.1:7080"
TOKEN_PATH = "/api/v2/iauths_system/oauth2/token"
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
Changes = dict[str, Any]


class Clock:
    """A clock that stands still until a test sets `at`, in Unix seconds; `slept` records the delays."""

    def __init__(self) -> None:
        self.at = 1767323045.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds


class Cloud:
    """
    An emulator, its clock, and an HTTP client for it.

    The methods send a correct request. Keyword arguments replace fields of it; None leaves a field out.
    """

    def __init__(self, emulator: Emulator, clock: Clock, http: httpx.AsyncClient) -> None:
        self.emulator = emulator
        self.clock = clock
        self.http = http

    async def request_token(self, *, headers: Changes | None = None, **changes: Any) -> httpx.Response:
        """Send a token request with CLIENT_SECRET_POST."""
        form = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "grant_type": "client_credentials"}
        return await self.http.post(TOKEN_PATH, data=changed(form, {"scope": SCOPE, **changes}), headers=headers)

    async def request_token_by_assertion(self, assertion: str, **changes: Any) -> httpx.Response:
        """Send a token request with a JWT client assertion."""
        credential = {"client_assertion": assertion, "client_assertion_type": JWT_BEARER, "client_secret": None}
        return await self.request_token(**{**credential, **changes})

    async def token(self) -> str:
        """Return an access token."""
        return (await self.request_token()).json()["access_token"]

    async def assume_role_with_oidc(self, *, headers: Changes | None = None, **changes: Any) -> httpx.Response:
        """Send AssumeRoleWithOIDC with the parameters where credentials-go puts them."""
        query = {"Action": "AssumeRoleWithOIDC", "Version": "2015-04-01", "Format": "JSON"}
        form = {"RoleArn": role_arn("default"), "OIDCProviderArn": PROVIDER_ARN, "RoleSessionName": "sidecar-1"}
        if "OIDCToken" not in changes:
            form["OIDCToken"] = await self.token()
        query = changed(query, {name: changes.pop(name) for name in query.keys() & changes.keys()})
        return await self.http.post("/", params=query, data=changed(form, changes), headers=headers)

    def claims(self, **changes: Any) -> Changes:
        """Return the claims of a client assertion."""
        claims = {"iss": CLIENT_ID, "sub": CLIENT_ID, "aud": BASE + TOKEN_PATH, "jti": "jti-1"}
        times = {"iat": int(self.clock.at), "exp": int(self.clock.at) + 600}
        return changed({**claims, **times}, changes)


def changed(fields: Changes, changes: Changes) -> Changes:
    """Return `fields` with `changes` applied, without the fields that are None."""
    return {name: value for name, value in {**fields, **changes}.items() if value is not None}


def change_client(cloud: Cloud, **changes: Any) -> None:
    """Replace fields of the world's client, and make it the only one."""
    client = replace(cloud.emulator.world.clients[CLIENT_ID], **changes)
    cloud.emulator.world = replace(cloud.emulator.world, clients={CLIENT_ID: client})


def claims_of(token: str) -> Any:
    """Return the claims of a JWT without verifying it."""
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))


def hs256(claims: Changes, secret: str = CLIENT_SECRET, header: Changes | None = None) -> str:
    """Return an HS256 JWS. Built by hand, because PyJWT warns of secrets shorter than the hash, and real ones are."""
    parts = [
        _base64url(json.dumps(each, separators=(",", ":")).encode()) for each in (header or {"alg": "HS256"}, claims)
    ]
    signature = hmac.digest(secret.encode(), ".".join(parts).encode(), "sha256")
    return ".".join([*parts, _base64url(signature)])


def signed(claims: Changes, key: Any, algorithm: str, **header: Any) -> str:
    """Return a JWS signed with a private key."""
    return PyJWS().encode(json.dumps(claims).encode(), key, algorithm, header)


def _base64url(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


@pytest.fixture(scope="session")
def signing_key() -> rsa.RSAPrivateKey:
    """One signing key for all emulators, because generating a key takes longer than most tests."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def ec_key() -> ec.EllipticCurvePrivateKey:
    """An EC private key."""
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def clock() -> Clock:
    """The emulator's clock."""
    return Clock()


@pytest.fixture
async def cloud(clock: Clock, signing_key: rsa.RSAPrivateKey) -> AsyncIterator[Cloud]:
    """An emulator of the default world, with a seeded source of random bytes."""
    random = Random(7).randbytes
    emulator = Emulator(World.default(), now=clock, random=random, sleep=clock.sleep, signing_key=signing_key)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=emulator), base_url=BASE) as http:
        yield Cloud(emulator, clock, http)


@pytest.fixture
def sign() -> Any:
    """The function `signed`."""
    return signed


@pytest.fixture
def sign_hs256() -> Any:
    """The function `hs256`."""
    return hs256
