"""Any response of the cloud gives complete credentials with a future end, or an error that does not repeat it."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, strategies

from app.core.errors import SidecarError
from app.core.events import Observe
from app.core.values import Credentials
from app.emulator import Emulator
from app.emulator.world.world import MANAGED_ROLE_ARN, WORKLOAD_PROVIDER_ARN
from app.exchange.sts import LONGEST_SESSION
from app.upstream.client import LARGEST_ANSWER, Limits, UpstreamClient

from ..clock import Clock
from ..conftest import BASE, Offline, exchange
from ..identity.identities import CHAIN, IDAAS_IDENTITIES, OTHER_IDENTITIES, one_profile
from ..workload import Workload
from .documents import CANARY, Change, Cut, changed, changes, cut, cuts, to_json

pytestmark = pytest.mark.fuzz

MANAGED = {"type": "developerApi", "roleArn": MANAGED_ROLE_ARN, "endpoint": BASE}
WAYS: dict[str, Callable[[Workload], dict[str, Any]]] = {
    "secret, STS, chain": lambda workload: one_profile(
        IDAAS_IDENTITIES["CLIENT_SECRET_POST"](workload), exchange(), chain=CHAIN
    ),
    "instance document, STS": lambda workload: one_profile(IDAAS_IDENTITIES["PKCS7"](workload), exchange()),
    "ECS role, STS": lambda workload: one_profile(IDAAS_IDENTITIES["PLUGIN with an ECS role"](workload), exchange()),
    "discovery, STS": lambda workload: one_profile(
        OTHER_IDENTITIES["client_secret_post"](workload), exchange(oidcProviderArn=WORKLOAD_PROVIDER_ARN)
    ),
    "secret, DeveloperAPI": lambda workload: one_profile(
        {**IDAAS_IDENTITIES["CLIENT_SECRET_POST"](workload), "scope": None}, MANAGED
    ),
}
MAXIMUM_CALLS = 5

codes = strategies.sampled_from([200, 200, 200, 200, 201, 204, 301, 400, 401, 403, 404, 429, 500, 503, 599])
headers = strategies.dictionaries(
    strategies.sampled_from(
        ["retry-after", "x-acs-retry-after", "date", "content-encoding", "content-type", "x-idaas-emulator"]
    ),
    strategies.one_of(
        strategies.sampled_from(
            ["", "-1", "1", "1e3", "9" * 40, "gzip", "identity", "Thu, 01 Jan 1970 00:00:00 GMT", "x, y"]
        ),
        strategies.text(strategies.characters(min_codepoint=32, max_codepoint=126), max_size=30),
    ),
    max_size=2,
)


@dataclass(frozen=True)
class Mutation:
    """The changes to one response. `number` is the number of the call within a fetch."""

    number: int
    status: int | None
    headers: dict[str, str]
    changes: list[Change]
    cuts: list[Cut]

    def body(self, raw: bytes) -> bytes:
        """Return the changed body."""
        if self.changes:
            with suppress(ValueError):  # not JSON: the name of a role, a document
                raw = to_json(changed(json.loads(raw), self.changes))
        return cut(raw, self.cuts)


mutations = strategies.builds(
    Mutation,
    number=strategies.integers(0, MAXIMUM_CALLS),
    status=strategies.one_of(strategies.none(), strategies.none(), codes),
    headers=strategies.one_of(strategies.just({}), headers),
    changes=strategies.lists(changes, max_size=2),
    cuts=strategies.one_of(strategies.just([]), strategies.just([]), strategies.just([]), cuts),
)


class MutatingTransport(httpx.AsyncBaseTransport):
    """The emulated cloud behind a transport that changes responses. `bodies` records the original and changed ones."""

    def __init__(self, emulator: Emulator) -> None:
        self._inner = httpx.ASGITransport(emulator)  # type: ignore[arg-type]
        self.mutation: Mutation | None = None
        self.calls = 0
        self.bodies: list[bytes] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and change the response if it is the one of the mutation."""
        found = await self._inner.handle_async_request(request)
        raw = b"".join([piece async for piece in found.stream])  # type: ignore[union-attr]
        mutation, number = self.mutation, self.calls
        self.calls += 1
        self.bodies.append(raw)
        if mutation is None or number != mutation.number:
            return httpx.Response(found.status_code, headers=found.headers, stream=httpx.ByteStream(raw))
        body = mutation.body(raw)
        self.bodies.append(body)
        status = found.status_code if mutation.status is None else mutation.status
        return httpx.Response(status, headers={**found.headers, **mutation.headers}, stream=httpx.ByteStream(body))


@pytest.fixture
def way(
    request: pytest.FixtureRequest, tmp_path: Path, emulator: Emulator, offline: Callable[..., Offline]
) -> tuple[Offline, MutatingTransport]:
    """A sidecar and the transport through which it reaches the cloud."""
    workload = Workload(tmp_path, emulator)
    transport = MutatingTransport(emulator)
    sidecar = offline(WAYS[request.param](workload), workload.environ, transport=lambda _way: transport)
    return sidecar, transport


def attempt(sidecar: Offline, cloud: MutatingTransport, mutation: Mutation | None) -> Credentials | None:
    """Fetch with a mutation; return None if the fetch fails as documented. Any other exception fails the test."""
    cloud.mutation, cloud.calls, cloud.bodies = mutation, 0, []
    sidecar.pipeline.forget_token("default")
    try:
        return asyncio.run(sidecar.fetch())
    except SidecarError as error:
        line = str(error)
        hint = error.retry_after
    assert "\n" not in line
    assert len(line) < 1_000
    assert CANARY not in line
    assert hint is None or 0 <= hint < 1e9
    for secret in secrets_in(cloud.bodies):
        assert secret not in line
    return None


def secrets_in(bodies: list[bytes]) -> set[str]:
    """Return the secrets in these bodies."""
    found = re.findall(
        rb'"(?:access_token|SecurityToken|AccessKeySecret|securityToken|accessKeySecret|id_token)":\s*"([^"]{8,})"',
        b"".join(bodies),
    )
    return {item.decode(errors="replace") for item in found}


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_any_response(way: tuple[Offline, MutatingTransport], clock: Clock) -> None:
    """With one response of a fetch changed, the session is complete or the failure is a SidecarError; both happen."""
    sidecar, cloud = way
    outcomes: Counter[tuple[int, bool]] = Counter()
    assert attempt(sidecar, cloud, None) is not None

    @given(mutation=mutations)
    def once(mutation: Mutation) -> None:
        found = attempt(sidecar, cloud, mutation)
        outcomes[mutation.number, found is not None] += mutation.number < cloud.calls
        if found is not None:
            assert found.access_key_id
            assert found.access_key_secret
            assert found.security_token
            assert clock.time() < found.expires_at < clock.time() + LONGEST_SESSION + 3_601

    once()

    for number in range(2):
        assert min(outcomes[number, True], outcomes[number, False]) > 0, outcomes


async def fetch_document(client: UpstreamClient, url: str) -> None:
    """Send a GET and parse the response. Fails unless the result is within bounds or a SidecarError."""
    try:
        response = await client.get(url)
        assert len(response.body) <= LARGEST_ANSWER
        response.members(url)
        return
    except SidecarError as error:
        line = str(error)
    assert line.isprintable()
    assert "canary-" not in line


WHOLE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Fri, 02 Jan 2026 03:04:05 GMT\r\n"
    b'Content-Length: 26\r\n\r\n{"access_token": "canary-"}'
)


def test_any_bytes_on_the_wire() -> None:
    """Bytes that are almost an HTTP response, from a real socket, give a response within bounds or a SidecarError."""

    async def fetch_bytes(raw: bytes) -> None:
        async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(raw)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(respond, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        client = UpstreamClient(
            httpx.AsyncHTTPTransport(verify=False, trust_env=False),
            limits=Limits(60.0, 60.0),
            now=lambda: 1e9,
            observe=ignore,
        )
        try:
            await fetch_document(client, url)
        finally:
            await client.aclose()
            server.close()

    @given(raw=strategies.one_of(cuts.map(lambda found: cut(WHOLE, found)), strategies.binary(max_size=100)))
    def once(raw: bytes) -> None:
        asyncio.run(fetch_bytes(raw))

    once()


ignore: Observe = lambda _event: None  # noqa: E731
