"""The cloud cannot be reached when a pod starts: nothing kills the sidecar, and the end is seen at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from ..golden_pods import RESTRICTED, pod
from .cloud import (
    GATE,
    Egress,
    calls,
    container,
    delete,
    in_state,
    install_world,
    open_gate,
    running,
    signal,
    with_cloud,
)
from .conftest import kubectl, until

NAMESPACE = "shop"
OUTAGES = {
    "silent": (),
    "refused": ("REJECT", "--reject-with", "tcp-reset"),
    "too-long": (),
    "terminated": (),
    "deleted": ("REJECT", "--reject-with", "tcp-reset"),
}
"""Pods, and how packets to the cloud end: dropped, as by a NetworkPolicy or a mesh without its proxy, or refused."""

LONGER_THAN_PROBES = 40
"""Seconds. In 0.1 the startup probe killed the sidecar after 27 s."""

START_GATE = 60
"""Seconds: `startup.timeoutSeconds` of the chart."""

GOAL = 10
"""Seconds from the end of the outage to the pod that is ready. Attempts are at most 5 s apart."""


FINALIZER = "example.com/keeps-the-status"
"""The API server keeps a deleted pod with a finalizer, and with it the state in which its containers ended."""


@pytest.fixture(scope="module", autouse=True)
def outages() -> Iterator[dict[str, Egress]]:
    """Start the pods without a way to the cloud, all at the same time."""
    install_world()
    ways = {}
    for name in OUTAGES:
        wanted = with_cloud(pod(name, NAMESPACE))
        wanted["spec"]["initContainers"].insert(0, GATE)
        if name == "deleted":
            wanted["metadata"]["finalizers"] = [FINALIZER]
        kubectl("create", "-f", "-", given=wanted)
    for name, target in OUTAGES.items():
        until(lambda name=name: in_state("running", name, NAMESPACE, "gate"))
        ways[name] = Egress(name, NAMESPACE)
        ways[name].close(*target)
        open_gate(name, NAMESPACE)
    for name in OUTAGES:
        until(lambda name=name: in_state("running", name, NAMESPACE))
    yield ways
    kubectl("patch", "pod", "deleted", "-n", NAMESPACE, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    delete(*OUTAGES, namespace=NAMESPACE)


def log_of(name: str) -> str:
    """Return the log of a pod's sidecar."""
    return kubectl("logs", name, "-n", NAMESPACE, "-c", "idaas-sidecar", check=False).stdout


def seconds(of: dict[str, str]) -> float:
    """Return how long a container ran."""
    began, ended = (datetime.fromisoformat(of[each]) for each in ("startedAt", "finishedAt"))
    return (ended - began).total_seconds()


def assert_reason(ended: dict[str, Any]) -> None:
    """The container ended because the cloud was not reached, and its termination message has the reason."""
    assert ended["exitCode"] == 4
    assert '"event":"start_up_failed"' in ended["message"].replace(" ", "")
    assert "127.0.0.1:7140" in ended["message"]
    assert "IDS-" in ended["message"]


def test_sigterm_before_the_gate_opens() -> None:
    """A SIGTERM while the sidecar waits for the cloud ends it with 4 at once, and the pod's status has the reason."""
    until(lambda: "refresh_failed" in log_of("terminated"))
    signal("terminated", NAMESPACE, "TERM")
    ended = until(lambda: container("terminated", NAMESPACE).get("lastState", {}).get("terminated"))

    assert seconds(ended) < START_GATE
    assert_reason(ended)


def test_deletion_before_the_gate_opens() -> None:
    """kubelet ends the sidecar of a deleted pod; the status that it writes has the same code and reason."""
    until(lambda: "refresh_failed" in log_of("deleted"))
    kubectl("delete", "pod", "deleted", "-n", NAMESPACE, "--wait=false")
    ended = until(lambda: container("deleted", NAMESPACE).get("state", {}).get("terminated"))

    assert seconds(ended) < START_GATE
    assert_reason(ended)


@pytest.mark.parametrize("name", ["silent", "refused"])
def test_the_probe_waits_and_the_cloud_comes_back(name: str, outages: dict[str, Egress]) -> None:
    """The startup probe does not end an outage; the pod is ready within 10 s after it, with the first process."""
    began = datetime.fromisoformat(container(name, NAMESPACE)["state"]["running"]["startedAt"]).timestamp()
    until(lambda: time.time() >= began + LONGER_THAN_PROBES)
    assert container(name, NAMESPACE)["restartCount"] == 0
    assert not container(name, NAMESPACE, "app").get("started", False)

    outages[name].open()
    back = time.monotonic()
    until(lambda: running(name, NAMESPACE), GOAL)
    print(f"{name}: ready {time.monotonic() - back:.1f} s after the end of the outage")

    assert container(name, NAMESPACE)["restartCount"] == 0
    assert all(each["ok"] for each in until(lambda: calls(name, NAMESPACE)))


def test_the_start_gate_ends_with_a_reason(outages: dict[str, Egress]) -> None:
    """After `startup.timeoutSeconds` the sidecar ends with 4, and the pod's status has the reason; then it recovers."""
    ended = until(lambda: container("too-long", NAMESPACE).get("lastState", {}).get("terminated"), 2 * START_GATE)

    assert START_GATE <= seconds(ended) < 1.5 * START_GATE
    assert_reason(ended)

    outages["too-long"].open()
    # kubelet waits 10 s before the second start.
    until(lambda: running("too-long", NAMESPACE), 10 + GOAL)


def test_a_mesh_without_its_proxy() -> None:
    """An init container that closes the network until the proxy runs, as Istio has, delays no call."""
    wanted = with_cloud(pod("mesh", NAMESPACE))
    wanted["spec"]["initContainers"].append(GATE)
    proxy = {**GATE, "name": "proxy", "command": ["sleep", "600"], "securityContext": RESTRICTED}
    wanted["spec"]["containers"].append(proxy)
    kubectl("create", "-f", "-", given=wanted)
    try:
        until(lambda: in_state("running", "mesh", NAMESPACE, "gate"))
        assert container("mesh", NAMESPACE)["started"] is True
        egress = Egress("mesh", NAMESPACE)
        egress.close()
        open_gate("mesh", NAMESPACE)
        until(lambda: in_state("running", "mesh", NAMESPACE, "app"))
        made = until(lambda: len(found := calls("mesh", NAMESPACE)) >= 4 and found)
        assert all(each["ok"] for each in made)

        egress.open()
        kubectl("exec", "mesh", "-n", NAMESPACE, "-c", "idaas-sidecar", "--", "idaas-sidecar", "refresh")
        assert container("mesh", NAMESPACE)["restartCount"] == 0
    finally:
        delete("mesh", namespace=NAMESPACE)
