"""The manifest for one workload, deploy/kubernetes/sidecar.yaml, in a namespace that enforces `restricted`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from .cloud import GATE, Egress, calls, container, in_state, open_gate, running, world
from .conftest import get, kubectl, until
from .manifest import FILE, create, manifest

NAMESPACE = "restricted"
SLOW = "slow"
GATE_SECONDS = 150
"""`startup.timeoutSeconds` as docs/operations.md recommends it for thousands of sidecars."""

LONGER_THAN_PROBES = 95
"""Seconds. In 0.1 the startup probe ended a sidecar with this gate after 90 s."""


def slow() -> Egress:
    """Start a pod with the long gate and without a way to the cloud."""
    config, spec = manifest()
    config["startup"]["timeoutSeconds"] = GATE_SECONDS
    spec["initContainers"].insert(0, GATE)
    create(SLOW, NAMESPACE, config, spec)
    until(lambda: in_state("running", SLOW, NAMESPACE, "gate"))
    way = Egress(SLOW, NAMESPACE)
    way.close()
    open_gate(SLOW, NAMESPACE)
    until(lambda: in_state("running", SLOW, NAMESPACE))
    return way


@pytest.fixture(scope="module", autouse=True)
def way() -> Iterator[Egress]:
    """Apply the manifest as it is, and start the slow pod beside it, whose outage passes meanwhile."""
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
    metadata = {"name": NAMESPACE, "labels": levels}
    kubectl("create", "-f", "-", given={"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    try:
        trusted = json.dumps(world()).replace("lab:your-app", f"{NAMESPACE}:your-app")
        kubectl("create", "configmap", "world", "-n", NAMESPACE, f"--from-literal=world.json={trusted}")
        applied = kubectl("apply", "-n", NAMESPACE, "--validate=strict", "-f", str(FILE))
        assert applied.stderr == "", "the API server warns about violations"
        yield slow()
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def test_the_manifest_as_it_is() -> None:
    """Pod Security `restricted` admits the pod; its sidecar runs, and lacks nothing but a way to STS."""
    (made,) = until(lambda: get("pods", "-n", NAMESPACE, "-l", "app=your-app")["items"])
    name = made["metadata"]["name"]
    until(lambda: container(name, NAMESPACE).get("state", {}).keys() & {"running", "terminated"})

    def failures() -> str:
        return kubectl("logs", name, "-n", NAMESPACE, "-c", "idaas-sidecar", check=False).stdout

    log = until(lambda: "refresh_failed" in (found := failures()) and found)
    failed = next(line for line in map(json.loads, log.splitlines()) if line["event"] == "refresh_failed")
    # The test's cluster has no DNS.
    assert (failed["stage"], failed["error_code"]) == ("exchange", "IDS-202"), failed
    events = get("events", "-n", NAMESPACE)["items"]
    assert not [each["message"] for each in events if each["reason"] in ("FailedCreate", "Failed")]


def test_the_manifest_with_a_cloud() -> None:
    """With the emulated cloud beside the sidecar, a pod of the manifest is ready under `restricted`."""
    create("whole", NAMESPACE, *manifest())
    until(lambda: running("whole", NAMESPACE))

    made = until(lambda: calls("whole", NAMESPACE, "your-app"))
    assert all(each["ok"] for each in made)
    assert container("whole", NAMESPACE)["restartCount"] == 0


def test_a_long_gate_outlives_every_probe(way: Egress) -> None:
    """With `startup.timeoutSeconds: 150` the sidecar outlives a cloud that is away for 95 s, and is ready then."""
    began = datetime.fromisoformat(container(SLOW, NAMESPACE)["state"]["running"]["startedAt"]).timestamp()
    until(lambda: time.time() >= began + LONGER_THAN_PROBES, 2 * LONGER_THAN_PROBES)
    assert in_state("running", SLOW, NAMESPACE)
    assert container(SLOW, NAMESPACE)["restartCount"] == 0
    assert not container(SLOW, NAMESPACE, "your-app").get("started", False)

    way.open()
    back = time.monotonic()
    until(lambda: running(SLOW, NAMESPACE))
    print(f"ready {time.monotonic() - back:.1f} s after the end of the outage")
    assert container(SLOW, NAMESPACE)["restartCount"] == 0
