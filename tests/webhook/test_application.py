"""The application: AdmissionReviews in and out, probes, and what is refused when policies cannot be read."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from app.core.errors import Unreachable
from app.observe.log import Log
from app.webhook.json_patch import patched
from app.webhook.policy import CredentialPolicy, FilePolicies
from app.webhook.serving.application import Webhook
from app.webhook.serving.body import LARGEST, Bodies, BodyRefused
from app.webhook.settings import Settings

from ..golden_pods import POLICIES, golden, label_message, labelled, plain, pod
from ..wrong_types import variants
from .defaults import defaulted

Object = dict[str, Any]
Ask = Callable[..., Any]


class NoPolicies:
    """An API server that does not answer."""

    async def find(self, namespace: str) -> CredentialPolicy | None:
        """Raise the error of each read."""
        raise Unreachable(f"GET {namespace}: timed out")


class Asked:
    """The application with a client, and its log."""

    def __init__(self, policies: Any) -> None:
        self.log = io.StringIO()
        log = Log(self.log, level="debug", json_lines=True, now=lambda: 0.0)
        self.webhook = Webhook(policies, Settings(), log)
        transport = httpx.ASGITransport(self.webhook.application())
        self.client = httpx.AsyncClient(transport=transport, base_url="https://webhook")

    async def review(self, path: str, operation: str = "CREATE", **members: Any) -> Object:
        """Return the response to a review of a pod in the namespace `shop`."""
        request = {"uid": "u1", "operation": operation, "namespace": "shop", **members}
        body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
        answer = await self.client.post(path, json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["kind"] == "AdmissionReview"
        return answer.json()["response"]

    def lines(self) -> list[Object]:
        """Return the lines of the log."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


def asked(policies: Any = None) -> Asked:
    """Return the application with the policies of the table."""
    return Asked(policies or FilePolicies(POLICIES.values(), "table"))


async def test_mutate_answers_with_a_patch() -> None:
    """The response has a JSON Patch that makes the golden pod, and the log names the pod."""
    it = asked()
    response = await it.review("/mutate", object=pod())
    patch = json.loads(base64.b64decode(response["patch"]))

    assert (response["uid"], response["allowed"], response["patchType"]) == ("u1", True, "JSONPatch")
    assert defaulted(patched(pod(), patch)) == golden("bare")
    assert [(each["event"], each["namespace"], each["pod"]) for each in it.lines()] == [("pod_injected", "shop", "app")]


async def test_the_namespace_is_that_of_the_request() -> None:
    """A controller's pod has no namespace of its own, and a generated name."""
    it = asked()
    wanted = pod()
    wanted["metadata"].pop("namespace")
    wanted["metadata"]["generateName"] = wanted["metadata"].pop("name") + "-"

    assert (await it.review("/mutate", object=wanted))["allowed"]
    assert it.lines()[0]["pod"] == "app-"


async def test_validate_refuses_with_the_reason() -> None:
    """A pod that is not injected is refused with status 403 and the message; an injected one is allowed."""
    it = asked()
    refused = await it.review("/validate", object=pod())
    allowed = await it.review("/validate", object=golden("bare"))

    assert refused["allowed"] is False
    assert refused["status"]["code"] == 403
    assert "was not injected" in refused["status"]["message"]
    (line,) = it.lines()
    assert refused["status"]["message"] == f"{line['reason']} ({line['error_code']})"
    assert line["error_code"] == "IDS-133"
    assert allowed == {"uid": "u1", "allowed": True}


@pytest.mark.parametrize("path", ["/mutate", "/validate"])
async def test_closed_without_the_api_server(path: str) -> None:
    """Where the policy cannot be read, a pod with the label is refused; other pods are not concerned."""
    it = asked(NoPolicies())
    refused = await it.review(path, object=golden("bare"))
    other = pod()
    other["metadata"]["labels"] = {}

    assert (refused["allowed"], refused["status"]["code"]) == (False, 503)
    assert "must not start without credentials: GET shop: timed out" in refused["status"]["message"]
    assert refused["status"]["message"].endswith(" (IDS-200)")
    assert (await it.review(path, object=other))["allowed"] is True
    assert (await it.review(path, object=pod(os={"name": "windows"})))["allowed"] is True


async def test_guard_checks_changes() -> None:
    """An update is compared with the old pod, without a policy."""
    it = asked(NoPolicies())
    old, new = golden("bare"), plain(golden("bare"))
    new["metadata"]["labels"] = {}

    assert (await it.review("/guard", "UPDATE", object=old, oldObject=old))["allowed"] is True
    refused = await it.review("/guard", "UPDATE", object=new, oldObject=old)
    assert "of a running pod cannot change" in refused["status"]["message"]


async def test_guard_checks_the_label() -> None:
    """A new pod with another value of the label is refused, without a policy."""
    refused = await asked(NoPolicies()).review("/guard", object=labelled("yes", annotated=False))

    assert (refused["allowed"], refused["status"]["message"]) == (False, f"{label_message('yes')} (IDS-133)")


async def test_warnings_are_in_the_response() -> None:
    """kubectl prints the warnings of a review."""
    response = await asked().review("/validate", object=pod(nodeSelector={"kubernetes.io/os": "windows"}))

    assert "Windows nodes" in response["warnings"][0]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"\xff", b'{"apiVersion":"admission.k8s.io/v1beta1","request":{}}']
)
async def test_what_is_no_review_is_a_bad_request(body: bytes) -> None:
    """The API server reads a status other than 200 as a failed call, and refuses the pod."""
    answer = await asked().client.post("/mutate", content=body)

    assert answer.status_code == 400
    assert "AdmissionReview" in answer.text


async def test_the_body_is_bounded() -> None:
    """A body above the limit is not kept in memory."""
    answer = await asked().client.post("/mutate", content=b" " * (LARGEST + 1))

    assert answer.status_code == 413


async def parts(*sizes: int, forever: bool = False) -> AsyncIterator[bytes]:
    """Yield parts of these sizes, and then nothing for ever or the end."""
    for size in sizes:
        yield b" " * size
    if forever:
        await asyncio.Event().wait()


async def test_a_slow_body_ends() -> None:
    """A body that does not come is refused after its time."""
    with Bodies(seconds=0.01).place() as body, pytest.raises(BodyRefused, match="took too long") as refused:
        await body.read(parts(10, forever=True))
    assert refused.value.status == 408


async def test_bodies_share_a_limit() -> None:
    """All bodies together are bounded, and a body that is answered makes room."""
    bodies = Bodies(most_bytes=100)
    with bodies.place() as first:
        assert len(await first.read(parts(30, 40))) == 70
        with bodies.place() as second, pytest.raises(BodyRefused, match="too many large requests") as refused:
            await second.read(parts(20, 20))
        assert refused.value.status == 503
    with bodies.place() as third:
        assert len(await third.read(parts(100))) == 100


async def test_probes() -> None:
    """While the process drains it is alive, and not ready."""
    it = asked()
    assert [(await it.client.get(path)).status_code for path in ("/livez", "/readyz")] == [200, 200]

    it.webhook.draining = True
    assert [(await it.client.get(path)).status_code for path in ("/livez", "/readyz", "/docs")] == [200, 503, 404]


@pytest.mark.parametrize("path", ["/mutate", "/validate", "/guard"])
async def test_objects_of_another_form(path: str) -> None:
    """Any pod of the cluster can send an object that no API server would: it is answered, and nothing is reported."""
    it = asked()
    members = {"operation": "CREATE", "namespace": "shop", "object": pod()}
    if path == "/guard":
        members |= {"operation": "UPDATE", "object": golden("bare"), "oldObject": golden("bare")}
    review = {"apiVersion": "admission.k8s.io/v1", "request": {"uid": "u1", **members}}
    codes = {(await it.client.post(path, content=json.dumps(each))).status_code for each in variants(review)}

    assert codes == {200, 400}
    assert {line["event"] for line in it.lines()} <= {"pod_injected", "pod_refused"}


@pytest.mark.parametrize("namespace", ["../../../../api/v1/namespaces/kube-system", "a?b", "A", "shop\n", "a" * 64])
async def test_the_namespace_is_a_label(namespace: str) -> None:
    """The namespace becomes a part of a path at the API server, so nothing else than a DNS label is accepted."""
    review = {"apiVersion": "admission.k8s.io/v1", "request": {"uid": "u", "operation": "CREATE", "object": pod()}}
    review["request"]["namespace"] = namespace  # type: ignore[index]
    answer = await asked().client.post("/mutate", json=review)

    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["/mutate", "/validate", "/guard"])
@pytest.mark.parametrize("depth", [400, 100_000])
async def test_deep_objects(path: str, depth: int) -> None:
    """An object that is nested deeper than Python's stack is answered, too."""
    deep = '{"a":' * depth + "1" + "}" * depth
    given = json.dumps(pod()).replace('"spec": {', f'"spec": {{"x": {deep}, ', 1)
    text = f'{{"apiVersion":"admission.k8s.io/v1","request":{{"uid":"u","operation":"CREATE","object":{given}'
    answer = await asked().client.post(path, content=text[:-1] + ',"y":1},"namespace":"shop"}}')

    assert answer.status_code == (200 if depth == 400 else 400)
