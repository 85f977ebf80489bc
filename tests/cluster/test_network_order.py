"""An iptables rule that drops the packets to the cloud, made and removed by another init container of the pod.

No test removes a rule: it tells the init container when to go on. iptables is the node's, because no image has one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from ..golden_pods import pod, policy, profile
from .cloud import calls, container, delete, in_state, open_gate, running, with_cloud, world
from .conftest import kubectl, until

Object = dict[str, Any]
NAMESPACE, ACCOUNT = "network", "orders"
RULE = "OUTPUT -o lo -p tcp --dport 7140 -j DROP"
GO_ON = "until [ -e /tmp/gate-is-open ]; do sleep 0.1; done"
CLOSE, OPEN = f"chroot /host iptables --insert {RULE}", f"chroot /host iptables --delete {RULE}"

START_GATE = 60
"""Seconds: `startup.timeoutSeconds` of the chart."""


def network(name: str, *commands: str, **more: Any) -> Object:
    """Return an init container that runs shell commands with the right to change the pod's network."""
    return {
        "name": name,
        "image": "your-app:1.0",
        "command": ["sh", "-ec", "\n".join(commands)],
        "securityContext": {"runAsUser": 0, "runAsNonRoot": False, "capabilities": {"add": ["NET_ADMIN"]}},
        "volumeMounts": [
            {"name": "scratch", "mountPath": "/tmp"},
            {"name": "node", "mountPath": "/host", "readOnly": True},
        ],
        **more,
    }


ORDERS: dict[str, tuple[list[Object], list[Object]]] = {
    "before": ([network("gate", CLOSE, GO_ON, OPEN)], []),
    "beside": (
        [network("close", CLOSE), network("gate", GO_ON, OPEN, "exec sleep infinity", restartPolicy="Always")],
        [],
    ),
    "after": ([], [network("gate", CLOSE, GO_ON, OPEN)]),
    "too-late": ([network("close", CLOSE)], [network("gate", OPEN)]),
}
"""The init containers before and after the sidecar. `beside` is a mesh's native sidecar, `after` its classic order."""


@pytest.fixture(scope="module", autouse=True)
def pods() -> Iterator[None]:
    """Onboard a namespace whose pods may have NET_ADMIN, and start a pod in each order."""
    levels = {"pod-security.kubernetes.io/enforce": "privileged"}
    metadata = {"name": NAMESPACE, "labels": levels}
    kubectl("create", "-f", "-", given={"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    try:
        kubectl("create", "serviceaccount", ACCOUNT, "-n", NAMESPACE)
        kubectl("apply", "-f", "-", given=policy(NAMESPACE, profile("orders", ACCOUNT)))
        trusted = json.dumps(world()).replace("shop:orders", f"{NAMESPACE}:{ACCOUNT}")
        kubectl("create", "configmap", "world", "-n", NAMESPACE, f"--from-literal=world.json={trusted}")
        until(
            lambda: kubectl("create", "--dry-run=server", "-f", "-", given=bare("probe"), check=False).returncode == 0
        )
        for name, (before, after) in ORDERS.items():
            wanted = with_cloud(bare(name))
            spec = wanted["spec"]
            spec["initContainers"] = [*before, *spec["initContainers"], *after]
            spec["volumes"].append({"name": "node", "hostPath": {"path": "/"}})
            kubectl("create", "-f", "-", given=wanted)
        yield
        delete(*ORDERS, namespace=NAMESPACE)
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def bare(name: str) -> Object:
    """Return a pod of the namespace as a team writes it."""
    wanted = pod(name)
    wanted["metadata"]["namespace"] = NAMESPACE
    return wanted


def at(name: str, of: str, state: str, when: str) -> datetime:
    """Return the time at which a container started or ended."""
    return datetime.fromisoformat(container(name, NAMESPACE, of)["state"][state][when])


def log_of(name: str) -> str:
    """Return the log of a pod's sidecar."""
    return kubectl("logs", name, "-n", NAMESPACE, "-c", "idaas-sidecar", check=False).stdout


def in_sidecar(name: str, *command: str) -> tuple[int, str]:
    """Run a command of the sidecar in its container; return exit code and output."""
    inside = ("exec", name, "-n", NAMESPACE, "-c", "idaas-sidecar", "--", "idaas-sidecar", *command)
    done = kubectl(*inside, check=False)
    return done.returncode, done.stdout + done.stderr


def assert_served(name: str) -> None:
    """The application gets credentials from the first call on, and the sidecar never restarted."""
    until(lambda: running(name, NAMESPACE))
    made = until(lambda: len(found := calls(name, NAMESPACE)) >= 4 and found)
    assert all(each["ok"] for each in made)
    assert container(name, NAMESPACE)["restartCount"] == 0


def test_before_the_sidecar() -> None:
    """An init container before the sidecar that opens the network delays its start by as long as it runs."""
    until(lambda: in_state("running", "before", NAMESPACE, "gate"))
    assert not in_state("running", "before", NAMESPACE)
    open_gate("before", NAMESPACE)

    assert_served("before")
    assert at("before", "gate", "terminated", "finishedAt") <= at("before", "idaas-sidecar", "running", "startedAt")


def test_beside_the_sidecar() -> None:
    """While a native sidecar before ours keeps the network closed, ours waits; when it opens it, the pod starts."""
    until(lambda: "refresh_failed" in log_of("beside"))
    assert in_state("running", "beside", NAMESPACE, "gate")
    assert not container("beside", NAMESPACE, "app").get("started", False)
    open_gate("beside", NAMESPACE)
    opened = time.monotonic()
    until(lambda: running("beside", NAMESPACE))
    print(f"ready {time.monotonic() - opened:.1f} s after the network was opened")

    assert_served("beside")


def test_after_the_sidecar() -> None:
    """An init container after the sidecar that closes the network until it ends delays no call of the application."""
    until(lambda: in_state("running", "after", NAMESPACE, "gate"))
    assert container("after", NAMESPACE)["started"] is True
    assert in_sidecar("after", "refresh")[0] != 0, "the network is closed"
    assert in_sidecar("after", "get", "--profile", "orders")[0] == 0, "the session is in memory"
    open_gate("after", NAMESPACE)

    assert_served("after")
    assert at("after", "gate", "terminated", "finishedAt") <= at("after", "app", "running", "startedAt")
    assert in_sidecar("after", "refresh")[0] == 0


def test_too_late() -> None:
    """If only an init container after the sidecar would open the network, the sidecar ends with 4 and its reason."""
    ended = until(lambda: container("too-late", NAMESPACE).get("lastState", {}).get("terminated"), 3 * START_GATE)

    assert ended["exitCode"] == 4
    assert "start_up_failed" in ended["message"]
    assert not in_state("running", "too-late", NAMESPACE, "gate")
    assert not in_state("terminated", "too-late", NAMESPACE, "gate")
