"""CredentialPolicies from the API server: which requests are made, what is shared, and when nothing is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from app.core.errors import ConfigError, Unreachable
from app.webhook.serving.api_server import CACHE_SECONDS, ApiServerPolicies, base_url

from ..golden_pods import POLICIES

PATH = "/apis/idaas-sidecar.internal/v1alpha1/namespaces/shop/credentialpolicies/default"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A service account: token and CA."""
    (tmp_path / "token").write_text("first\n")
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    return tmp_path


class ApiServer:
    """An API server that gives one answer and notes the requests."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self.requests: list[httpx.Request] = []
        self._answer = answer

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        await asyncio.sleep(0)
        return self._answer(request)


def given(server: ApiServer, directory: Path, monotonic: Callable[[], float] = lambda: 0.0) -> ApiServerPolicies:
    """Return the policies of a cluster with this API server."""
    transport = httpx.MockTransport(server)
    return ApiServerPolicies("https://10.96.0.1:443", str(directory), monotonic=monotonic, transport=transport)


def answers(status: int = 200, value: Any = POLICIES["shop"]) -> ApiServer:
    """Return an API server that always gives this answer."""
    return ApiServer(lambda _: httpx.Response(status, json=value))


async def test_a_policy_is_read_with_the_token(directory: Path) -> None:
    """One GET of the one object, with the token of the service account."""
    server = answers()
    policies = given(server, directory)

    found = await policies.find("shop")

    assert found is not None
    assert [each.name for each in found.profiles] == ["orders", "shared"]
    (request,) = server.requests
    assert (request.url.path, request.headers["Authorization"]) == (PATH, "Bearer first")


async def test_reads_are_shared_for_seconds(directory: Path) -> None:
    """Admissions of one namespace at the same time share a read, and a policy is used again for CACHE_SECONDS."""
    now = 0.0
    server = answers()
    policies = given(server, directory, lambda: now)

    await asyncio.gather(*(policies.find("shop") for _ in range(50)))
    now = CACHE_SECONDS - 0.1
    await policies.find("shop")
    assert len(server.requests) == 1

    now = CACHE_SECONDS + 0.1
    await policies.find("shop")
    assert len(server.requests) == 2


async def test_a_renewed_token_is_used(directory: Path) -> None:
    """kubelet replaces token and CA; each read uses those that are there."""
    server = answers(404, {"reason": "NotFound"})
    policies = given(server, directory)
    await policies.find("shop")

    (directory / "token").write_text("second")
    trustme.CA().cert_pem.write_to_path(str(directory / "ca.crt"))
    await policies.find("shop")

    assert [each.headers["Authorization"] for each in server.requests] == ["Bearer first", "Bearer second"]


async def test_an_absent_policy_is_not_remembered(directory: Path) -> None:
    """A pod that follows the CredentialPolicy at once is admitted."""
    found = iter([httpx.Response(404, json={"reason": "NotFound"}), httpx.Response(200, json=POLICIES["shop"])])
    policies = given(ApiServer(lambda _: next(found)), directory)

    assert await policies.find("shop") is None
    assert await policies.find("shop") is not None


async def test_a_closed_connection_is_tried_again(directory: Path) -> None:
    """A kept connection that the API server closes does not refuse a pod."""

    def answer(_: httpx.Request) -> httpx.Response:
        if len(server.requests) == 1:
            raise httpx.RemoteProtocolError("Server disconnected")
        return httpx.Response(200, json=POLICIES["shop"])

    server = ApiServer(answer)

    assert await given(server, directory).find("shop") is not None


@pytest.mark.parametrize(
    ("server", "message", "code"),
    [
        (answers(403, {"reason": "Forbidden"}), "the service account may not read it", "IDS-200"),
        (answers(401, {"reason": "Unauthorized"}), "the token is not accepted", "IDS-200"),
        (answers(500, {}), "HTTP 500", "IDS-200"),
        (ApiServer(lambda _: httpx.Response(302, headers={"location": "http://xn--a/"})), "HTTP 302", "IDS-200"),
        (ApiServer(lambda _: httpx.Response(200, text="[" * 100_000)), "without an object", "IDS-200"),
        (
            ApiServer(lambda _: httpx.Response(404, text="404 page not found")),
            "object of the API; install the CRD of the chart",
            "IDS-200",
        ),
        (ApiServer(lambda _: httpx.Response(200, text="<html>")), "without an object", "IDS-200"),
        (answers(200, {"spec": {"profiles": [{"name": "orders"}]}}), r"profiles\[0\].roleArn: required", "IDS-128"),
    ],
)
async def test_what_is_not_known_is_an_error(directory: Path, server: ApiServer, message: str, code: str) -> None:
    """Every answer but a policy, or the word that there is none, is an error: the pod is refused."""
    with pytest.raises(Unreachable, match=message) as raised:
        await given(server, directory).find("shop")
    assert raised.value.error_code == code


async def test_a_silent_api_server_is_an_error(directory: Path) -> None:
    """Time-outs end after two attempts."""

    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("timed out", request=request)

    server = ApiServer(silent)
    with pytest.raises(Unreachable, match="timed out"):
        await given(server, directory).find("shop")
    assert len(server.requests) == 2


async def test_a_missing_token_is_an_error(tmp_path: Path) -> None:
    """Without a service account nothing is known, and the message names the file."""
    with pytest.raises(Unreachable, match="token: no such file"):
        await given(answers(), tmp_path).find("shop")


def test_the_address() -> None:
    """The address is that of the variables that kubelet sets, for IPv4 and IPv6."""
    assert (
        base_url({"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}) == "https://10.96.0.1:443"
    )
    assert base_url({"KUBERNETES_SERVICE_HOST": "fd00::1"}) == "https://[fd00::1]:443"
    with pytest.raises(ConfigError, match="not a pod"):
        base_url({})
