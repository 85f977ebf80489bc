"""The metrics of the webhooks: what is counted, and how a scrape shows it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.core.errors import Unreachable
from app.observe.log import Log
from app.webhook.policy import CredentialPolicy, FilePolicies
from app.webhook.serving.application import Webhook
from app.webhook.serving.body import Bodies
from app.webhook.serving.metrics import OUTCOMES, WEBHOOKS, AdmissionCounters, metrics_application
from app.webhook.settings import Settings

from ..golden_pods import POLICIES, golden, pod

Object = dict[str, Any]
PREFIX = "idaas_sidecar_webhook_"


class NoPolicies:
    """An API server that does not answer."""

    async def find(self, namespace: str) -> CredentialPolicy | None:
        """Raise the error of each read."""
        raise Unreachable(f"GET {namespace}: timed out")


def webhook(policies: Any = None, *, most_bytes: int = 1_000_000) -> Webhook:
    """Return a webhook for which each request takes 0.1 s."""
    ticks: Iterator[float] = iter(each / 10 for each in range(100))
    source = policies or FilePolicies(POLICIES.values(), "table")
    log = Log(io.StringIO(), level="error", json_lines=True, now=lambda: 0.0)
    return Webhook(source, Settings(), log, Bodies(most_bytes=most_bytes), monotonic=lambda: next(ticks))


async def send(to: Webhook, path: str, given: Object | None) -> None:
    """Send a review of the pod, or an empty body."""
    request = {"uid": "u1", "operation": "CREATE", "namespace": "shop", "object": given}
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request} if given else None
    transport = httpx.ASGITransport(to.application())
    async with httpx.AsyncClient(transport=transport, base_url="https://webhook") as client:
        await client.post(path, json=body)


@pytest.mark.parametrize(
    ("path", "given", "outcome"),
    [
        ("/mutate", pod(), "injected"),
        ("/mutate", pod(hostNetwork=True), "refused"),
        ("/mutate", golden("bare"), "untouched"),
        ("/validate", pod(), "refused"),
        ("/guard", pod(), "untouched"),
        ("/validate", None, "invalid"),
    ],
)
async def test_outcomes(path: str, given: Object | None, outcome: str) -> None:
    """Each request counts once, with its webhook and its outcome."""
    it = webhook()
    await send(it, path, given)

    assert dict(it.counters.requests) == {(path[1:], outcome): 1}
    assert sum(it.counters.durations[path[1:]].counts) == 1
    assert it.counters.durations[path[1:]].total == pytest.approx(0.1)


async def test_a_policy_that_cannot_be_read() -> None:
    """It has an outcome of its own, because the platform must act, and not the team."""
    it = webhook(NoPolicies())
    await send(it, "/mutate", pod())

    assert dict(it.counters.requests) == {("mutate", "unavailable"): 1}


async def test_a_body_that_is_too_large() -> None:
    """A body above a limit is invalid."""
    it = webhook(most_bytes=10)
    await send(it, "/mutate", pod())

    assert dict(it.counters.requests) == {("mutate", "invalid"): 1}


async def test_a_scrape() -> None:
    """A scrape has each webhook with each outcome from the start, and the certificate that is in use then."""
    counters, expiry = AdmissionCounters(), [1_000.0]
    counters.answered("guard", "refused", 0.3)
    app = metrics_application(counters, lambda: expiry[0])
    expiry[0] = 2_000.0
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://webhook") as client:
        answer = await client.get("/metrics")
        assert [(await client.get(path)).status_code for path in ("/mutate", "/docs", "/")] == [404, 404, 404]

    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    requests = {tuple(sorted(each.labels.items())): each.value for each in families[f"{PREFIX}requests"].samples}
    assert len(requests) == len(WEBHOOKS) * len(OUTCOMES)
    assert requests[("outcome", "refused"), ("webhook", "guard")] == 1
    assert sum(requests.values()) == 1
    (end,) = families[f"{PREFIX}certificate_not_after_timestamp_seconds"].samples
    assert end.value == 2_000.0
    buckets = [
        (each.labels["le"], each.value)
        for each in families[f"{PREFIX}request_duration_seconds"].samples
        if each.name.endswith("_bucket") and each.labels["webhook"] == "guard"
    ]
    assert buckets[2:6] == [("0.05", 0), ("0.2", 0), ("1.0", 1), ("3.0", 1)]
