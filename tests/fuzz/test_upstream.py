"""Whatever the cloud answers: whole credentials with a future end, or one of our errors that repeats nothing of it."""

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
from .documents import CANARY, Change, Cut, changed, changes, cut, cuts, written

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
MOST_CALLS = 5

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
class Bend:
    """What happens to one answer: `number` counts the fetch's calls."""

    number: int
    status: int | None
    headers: dict[str, str]
    changes: list[Change]
    cuts: list[Cut]

    def body(self, raw: bytes) -> bytes:
        """The body as it arrives."""
        if self.changes:
            with suppress(ValueError):  # no JSON: a role's name, a document
                raw = written(changed(json.loads(raw), self.changes))
        return cut(raw, self.cuts)


bends = strategies.builds(
    Bend,
    number=strategies.integers(0, MOST_CALLS),
    status=strategies.one_of(strategies.none(), strategies.none(), codes),
    headers=strategies.one_of(strategies.just({}), headers),
    changes=strategies.lists(changes, max_size=2),
    cuts=strategies.one_of(strategies.just([]), strategies.just([]), strategies.just([]), cuts),
)


class Bent(httpx.AsyncBaseTransport):
    """The emulated cloud, whose answers are bent on the way back; what it really said is kept."""

    def __init__(self, emulator: Emulator) -> None:
        self._cloud = httpx.ASGITransport(emulator)  # type: ignore[arg-type]
        self.bend: Bend | None = None
        self.calls = 0
        self.said: list[bytes] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        found = await self._cloud.handle_async_request(request)
        raw = b"".join([piece async for piece in found.stream])  # type: ignore[union-attr]
        bend, number = self.bend, self.calls
        self.calls += 1
        self.said.append(raw)
        if bend is None or number != bend.number:
            return httpx.Response(found.status_code, headers=found.headers, stream=httpx.ByteStream(raw))
        body = bend.body(raw)
        self.said.append(body)
        status = found.status_code if bend.status is None else bend.status
        return httpx.Response(status, headers={**found.headers, **bend.headers}, stream=httpx.ByteStream(body))


@pytest.fixture
def way(
    request: pytest.FixtureRequest, tmp_path: Path, emulator: Emulator, offline: Callable[..., Offline]
) -> tuple[Offline, Bent]:
    workload = Workload(tmp_path, emulator)
    bent_cloud = Bent(emulator)
    sidecar = offline(WAYS[request.param](workload), workload.environ, transport=lambda _way: bent_cloud)
    return sidecar, bent_cloud


def attempt(sidecar: Offline, cloud: Bent, bend: Bend | None) -> Credentials | None:
    """What comes of a fetch; None where it failed, as it may. Any other exception is a finding."""
    cloud.bend, cloud.calls, cloud.said = bend, 0, []
    sidecar.pipeline.forget_token("default")
    try:
        return asyncio.run(sidecar.fetch())
    except SidecarError as why:
        line = str(why)
        hint = why.retry_after
    assert "\n" not in line
    assert len(line) < 1_000
    assert CANARY not in line
    assert hint is None or 0 <= hint < 1e9
    for secret in secrets_in(cloud.said):
        assert secret not in line
    return None


def secrets_in(bodies: list[bytes]) -> set[str]:
    """What in these bodies is nobody's to repeat."""
    found = re.findall(
        rb'"(?:access_token|SecurityToken|AccessKeySecret|securityToken|accessKeySecret|id_token)":\s*"([^"]{8,})"',
        b"".join(bodies),
    )
    return {item.decode(errors="replace") for item in found}


@pytest.mark.parametrize("way", WAYS, indirect=True)
def test_any_answer(way: tuple[Offline, Bent], clock: Clock) -> None:
    """One answer of a fetch is bent: the session is whole all the same, or the failure is one of ours; both happen."""
    sidecar, cloud = way
    outcomes: Counter[tuple[int, bool]] = Counter()
    assert attempt(sidecar, cloud, None) is not None

    @given(bend=bends)
    def once(bend: Bend) -> None:
        found = attempt(sidecar, cloud, bend)
        outcomes[bend.number, found is not None] += bend.number < cloud.calls
        if found is not None:
            assert found.access_key_id
            assert found.access_key_secret
            assert found.security_token
            assert clock.time() < found.expires_at < clock.time() + LONGEST_SESSION + 3_601

    once()

    for number in range(2):
        assert min(outcomes[number, True], outcomes[number, False]) > 0, outcomes


async def look(wire: UpstreamClient, url: str) -> None:
    """One question, and what is made of its answer."""
    try:
        reply = await wire.get(url)
        assert len(reply.body) <= LARGEST_ANSWER
        reply.members(url)
        return
    except SidecarError as why:
        line = str(why)
    assert line.isprintable()
    assert "canary-" not in line


WHOLE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Fri, 02 Jan 2026 03:04:05 GMT\r\n"
    b'Content-Length: 26\r\n\r\n{"access_token": "canary-"}'
)


def test_any_bytes_on_the_wire() -> None:
    """Bytes that are nearly an HTTP answer, from a real socket: an answer within bounds, or one of our errors."""

    async def answer(raw: bytes) -> None:
        async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(raw)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(say, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        wire = UpstreamClient(
            httpx.AsyncHTTPTransport(verify=False, trust_env=False),
            limits=Limits(2.0, 2.0),
            now=lambda: 1e9,
            observe=ignored,
        )
        try:
            await look(wire, url)
        finally:
            await wire.aclose()
            server.close()

    @given(raw=strategies.one_of(cuts.map(lambda found: cut(WHOLE, found)), strategies.binary(max_size=100)))
    def once(raw: bytes) -> None:
        asyncio.run(answer(raw))

    once()


ignored: Observe = lambda _event: None  # noqa: E731
