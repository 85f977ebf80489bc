"""Fixtures that most tests share: a clock, the emulated cloud, and settings that point at it."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from app.config import section_checks
from app.config.loader import Loaded, load
from app.core.events import Event
from app.core.values import Credentials, Random
from app.emulator import Emulator, World
from app.emulator.world.world import (
    CLIENT_ID,
    CLIENT_SECRET,
    INSTANCE_ID,
    ISSUER,
    MANAGED_ROLE_ARN,
    PAM_SCOPE,
    PROVIDER_ARN,
    SCOPE,
    role_arn,
)
from app.refresh.connections import Transport
from app.refresh.pipeline import Pipeline
from app.refresh.refresher import Policy, Refresher
from app.serve.access import Guard
from app.serve.ecs_metadata import MetadataValues, SessionTokens
from app.serve.handlers.credential_endpoint import CredentialEndpoint
from app.serve.handlers.credentials import CredentialHandler, ListenerRules

from .clock import Clock
from .workload import Workload

BASE = "http://127.0.0.1:7080"
TOKEN_ENDPOINT = f"{BASE}/api/v2/iauths_system/oauth2/token"
ENVIRON = {"IDAAS_SECRET": CLIENT_SECRET}


LONGEST_TMPDIR = 16
"""Characters of $TMPDIR with which the longest path of a Unix socket in a test stays below the kernel's 107 bytes."""


def pytest_configure() -> None:
    """Use /tmp instead of a directory so long that Unix sockets cannot be made in it, as some machines set it."""
    if len(tempfile.gettempdir()) > LONGEST_TMPDIR:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", "/tmp")


os.umask(0o077)  # tests write secret files, and the sidecar refuses those that other users can read


@pytest.fixture
def lax_umask() -> Iterator[None]:
    """The umask 000, which takes no permission away."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture(scope="session")
def signing_key() -> rsa.RSAPrivateKey:
    """One signing key for all emulators of a run: generating it is slow, and sharing it is harmless."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def clock() -> Clock:
    """A clock that only the test moves."""
    return Clock()


@pytest.fixture
def emulator(clock: Clock, signing_key: rsa.RSAPrivateKey) -> Emulator:
    """The emulated cloud with profiles `default`, `p2` and `p3`, on the test's clock."""
    world = World.default(profiles=("default", "p2", "p3"))
    return Emulator(world, now=clock.time, sleep=clock.sleep, signing_key=signing_key)


@pytest.fixture
def workload(tmp_path: Path, emulator: Emulator) -> Workload:
    """A workload that the emulated cloud knows."""
    return Workload(tmp_path, emulator)


def identity(**changes: Any) -> dict[str, Any]:
    """Return the default world's client with CLIENT_SECRET_POST."""
    return {
        "type": "idaas",
        "idaasInstanceId": INSTANCE_ID,
        "clientId": CLIENT_ID,
        "issuer": ISSUER,
        "tokenEndpoint": TOKEN_ENDPOINT,
        "scope": SCOPE,
        "authnConfiguration": {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "IDAAS_SECRET"},
    } | changes


def exchange(profile: str = "default", **changes: Any) -> dict[str, Any]:
    """Return the STS exchange for the default world's role of `profile`."""
    return {
        "type": "sts",
        "roleArn": role_arn(profile),
        "oidcProviderArn": PROVIDER_ARN,
        "endpoints": [BASE],
        "roleSessionName": "session-1",
    } | changes


def configuration(*profiles: str, **changes: Any) -> dict[str, Any]:
    """Return a complete configuration with `profiles`, or with `default` if none is named."""
    names = profiles or ("default",)
    return {
        "configVersion": "1.0",
        "profiles": {name: {"identity": identity(), "exchange": exchange(name)} for name in names},
    } | changes


def with_client_auth(method: str, **keys: str) -> dict[str, Any]:
    """Return a configuration whose client authenticates by `method`, without `keys` by the secret in IDAAS_SECRET."""
    authn = {"authnMethod": method, **(keys or {"clientSecretEnvVarName": "IDAAS_SECRET"})}
    profile = {"identity": identity(authnConfiguration=authn), "exchange": exchange()}
    return configuration(profiles={"default": profile})


def managed_exchange(**changes: Any) -> dict[str, Any]:
    """Return the exchange of a role that IDaaS manages: its credentials come from the DeveloperAPI."""
    return {"type": "developerApi", "roleArn": MANAGED_ROLE_ARN, "endpoint": BASE} | changes


def with_developer_api() -> dict[str, Any]:
    """Return a configuration whose credentials come from the DeveloperAPI."""
    profile = {"identity": identity(scope=PAM_SCOPE), "exchange": managed_exchange()}
    return configuration(profiles={"default": profile})


@pytest.fixture
def loaded(tmp_path: Path, clock: Clock) -> Callable[..., Loaded]:
    """Load a configuration from a file, as the program does."""

    def load_file(config: dict[str, Any] | None = None, environ: dict[str, str] | None = None) -> Loaded:
        path = tmp_path / "config.json"
        path.write_text(json.dumps(configuration() if config is None else config))
        return load(str(path), ENVIRON if environ is None else environ, hostname="host-1", now=clock.time)

    return load_file


@dataclass
class Offline:
    """A sidecar without sockets: pipeline, refreshers and handler over the emulated cloud and the test's clock."""

    clock: Clock
    emulator: Emulator
    pipeline: Pipeline
    refreshers: dict[str, Refresher]
    handler: CredentialHandler
    events: list[Event] = field(default_factory=list)

    async def fetch(self, profile: str = "default") -> Credentials:
        """Fetch credentials of `profile` from the emulated cloud."""
        return await self.pipeline.fetch(profile)


@pytest.fixture
def offline(clock: Clock, emulator: Emulator, loaded: Callable[..., Loaded]) -> Callable[..., Offline]:
    """Build an `Offline` sidecar from a configuration."""

    def build(
        config: dict[str, Any] | None = None,
        environ: dict[str, str] | None = None,
        chance: Random = lambda: 0.5,
        is_ours: Callable[[str], bool] = lambda _host: False,
        transport: Transport | None = None,
    ) -> Offline:
        events: list[Event] = []
        settings = loaded(config, environ).settings
        pipeline = Pipeline(
            settings,
            ENVIRON if environ is None else environ,
            clocks=clock.clocks,
            observe=events.append,
            transport=transport or (lambda _route: httpx.ASGITransport(emulator)),  # type: ignore[arg-type]
            is_ours=is_ours,
        )
        refreshers = {name: _refresher(name, pipeline, settings, clock, events, chance) for name in settings.profiles}
        return Offline(clock, emulator, pipeline, refreshers, handler(refreshers, clock), events)

    return build


def _refresher(
    name: str, pipeline: Pipeline, settings: Any, clock: Clock, events: list[Event], chance: Random
) -> Refresher:
    return Refresher(
        name,
        lambda: pipeline.fetch(name),
        policy=Policy(section_checks.schedule(settings.refresh), required=settings.profiles[name].required),
        observe=events.append,
        clocks=clock.clocks,
        sleep=clock.sleep,
        random=chance,
    )


def handler(
    refreshers: dict[str, Refresher],
    clock: Clock,
    *,
    required: bool = False,
    path_token: bytes | None = None,
    metadata_only: bool = False,
    values: MetadataValues | None = None,
) -> CredentialHandler:
    """Return a handler with the default rules."""
    hosts = ("127.0.0.1", "localhost", "[::1]", "100.100.100.200")
    return CredentialHandler(
        {name: CredentialEndpoint(item, clock.clocks) for name, item in refreshers.items()},
        ListenerRules(
            guard=Guard(allowed_hosts=hosts, refuse_forwarded=True, refuse_browsers=True),
            sessions=SessionTokens(b"k" * 32, clock.time),
            sessions_required=required,
            path_token=path_token,
            now=clock.time,
            values=values or MetadataValues({}),
            metadata_only=metadata_only,
        ),
    )


@asynccontextmanager
async def running(*refreshers: Refresher) -> AsyncIterator[None]:
    """Run the refreshers' loops for the length of the block."""
    tasks = [asyncio.create_task(item.run()) for item in refreshers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
