"""`helm upgrade` with another image while applications read credentials: no call of the SDK fails."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app import __version__

from ..golden_pods import APP, workload
from .cloud import VOLUMES, emulator_policy, install_world, node
from .conftest import CHART, WORK, get, helm, kubectl, until

Object = dict[str, Any]
NAMESPACE, NAME = "shop", "busy"
HOME = ("--namespace", "idaas-sidecar")
REPLICAS = 3
OLD, NEW = f"idaas-credential-sidecar:{__version__}", f"idaas-credential-sidecar:{__version__}-next"

READER = """
import json, signal, threading, time
stopped = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopped.set())  # first: process 1 ignores signals that it does not handle
from alibabacloud_credentials.client import Client

seen = {"made": 0, "draining": 0, "failures": []}

def read(until):
    while not until():
        try:
            assert Client().get_credential().security_token
        except Exception as error:
            seen["failures"].append(f"{type(error).__name__}: {error}"[:300])
        seen["draining" if stopped.is_set() else "made"] += 1
        time.sleep(0.02)

def work():
    read(stopped.is_set)
    ends = time.monotonic() + 5
    read(lambda: time.monotonic() >= ends)

threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
while any(thread.is_alive() for thread in threads):
    time.sleep(0.5)
    print(json.dumps(seen), flush=True)
print(json.dumps(seen | {"ended": True}), flush=True)
"""
"""Two threads of the unmodified SDK. Each call makes a client, so it is a request. It works for 5 s after SIGTERM."""


def deployment() -> Object:
    """Return a Deployment of the team, as docs/kubernetes.md has it: it does not know the sidecar's image."""
    app = {**APP, "command": ["/opt/app/bin/python", "-c", READER]}
    wanted = workload("Deployment", containers=[app], volumes=VOLUMES, terminationGracePeriodSeconds=30)
    wanted["metadata"]["name"] = NAME
    spec = wanted["spec"]
    spec["template"]["metadata"]["labels"]["app"] = NAME
    spec |= {"replicas": REPLICAS, "selector": {"matchLabels": {"app": NAME}}}
    spec["strategy"] = {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    return wanted


def pods() -> list[Object]:
    """Return the pods of the Deployment that are not being deleted."""
    found = get("pods", "-n", NAMESPACE, "-l", f"app={NAME}")["items"]
    return [each for each in found if "deletionTimestamp" not in each["metadata"]]


def images() -> set[str]:
    """Return the images of the sidecars."""
    return {
        each["image"] for found in pods() for each in found["spec"]["initContainers"] if each["name"] == "idaas-sidecar"
    }


class Logs:
    """Follows the application's log of each pod to its end: the API server forgets a pod's log with the pod."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._followers: dict[str, subprocess.Popen[bytes]] = {}

    def follow(self) -> None:
        """Follow the pods that are new, and those whose stream has ended before the application."""
        for each in get("pods", "-n", NAMESPACE, "-l", f"app={NAME}")["items"]:
            name = each["metadata"]["name"]
            follower = self._followers.get(name)
            if follower is None or (follower.poll() is not None and "ended" not in self.last(name)):
                with (self._folder / name).open("ab") as file:
                    command = [WORK / "kc", "logs", "-f", name, "-n", NAMESPACE, "-c", "app"]
                    self._followers[name] = subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL)

    def results(self) -> dict[str, Object]:
        """Wait until the application of each pod has ended, and return its last line."""

        def ended() -> bool:
            self.follow()
            return all("ended" in self.last(name) for name in self._followers)

        until(ended)
        return {name: self.last(name) for name in self._followers}

    def last(self, name: str) -> Object:
        """Return the last line of a pod's application."""
        lines = [each for each in (self._folder / name).read_text().splitlines() if each.endswith("}")]
        return json.loads(lines[-1]) if lines else {}

    def stop(self) -> None:
        """End the followers."""
        for follower in self._followers.values():
            if follower.poll() is None:
                follower.kill()
            follower.wait()


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Logs]:
    """Run the Deployment; its pods read credentials all the time."""
    install_world()
    socket = str(WORK / "run" / "containerd.sock")
    reference = "docker.io/library/"
    node("ctr", "-a", socket, "-n", "k8s.io", "images", "tag", "--force", reference + OLD, reference + NEW)
    kubectl("apply", "-f", "-", given=emulator_policy(NAME))
    until(lambda: '"emulator"' in _admitted())
    kubectl("create", "-f", "-", given=deployment())
    logs = Logs(tmp_path)
    try:
        kubectl("rollout", "status", f"deployment/{NAME}", "-n", NAMESPACE, "--timeout=90s")
        yield logs
    finally:
        logs.stop()
        kubectl("delete", "deployment", NAME, "-n", NAMESPACE, "--cascade=foreground", "--wait=false")
        kubectl("delete", "mutatingadmissionpolicy/test-emulator", "mutatingadmissionpolicybinding/test-emulator")


def _pod() -> Object:
    template = deployment()["spec"]["template"]
    metadata = {**template["metadata"], "name": "probe", "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def _admitted() -> str:
    """Return a pod of the Deployment as the API server would make it; empty while it refuses the pod."""
    return kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", given=_pod(), check=False).stdout


def roll(logs: Logs, image: str) -> None:
    """Restart the Deployment when new pods get the image, and wait until all its pods have it."""
    until(lambda: f'"{image}"' in _admitted())
    kubectl("rollout", "restart", f"deployment/{NAME}", "-n", NAMESPACE)

    def rolled() -> bool:
        logs.follow()
        return images() == {image} and len(pods()) == REPLICAS

    until(rolled, 180)
    kubectl("rollout", "status", f"deployment/{NAME}", "-n", NAMESPACE, "--timeout=60s")
    until(lambda: all(logs.last(each["metadata"]["name"]).get("made") for each in pods()))


def test_no_call_fails_during_an_upgrade(busy: Logs) -> None:
    """An upgrade of the image, its rollout and its rollback fail no call of the SDK, the last seconds included."""
    busy.follow()
    assert images() == {OLD}

    helm("upgrade", "sidecar", str(CHART), *HOME, "--reuse-values", "--set", f"image.tag={__version__}-next")
    try:
        assert images() == {OLD}, "running pods keep their image until they are restarted"
        roll(busy, NEW)
    finally:
        helm("rollback", "sidecar", *HOME, "--wait")
    roll(busy, OLD)
    kubectl("scale", f"deployment/{NAME}", "-n", NAMESPACE, "--replicas=0")
    results = busy.results()

    print(json.dumps(results))
    assert len(results) == 3 * REPLICAS
    assert {name: each["failures"] for name, each in results.items() if each["failures"]} == {}
    assert all(each["draining"] > 10 for each in results.values())
    assert sum(each["made"] for each in results.values()) > 1_000
