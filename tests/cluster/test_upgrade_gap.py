"""What the API server answers to new pods during `helm upgrade`, while both versions of the injection are in use.

K8S_WORK=... pytest -m cluster -s tests/cluster/test_upgrade_gap.py    prints the seconds of docs/kubernetes.md
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from app import __version__

from ..golden_pods import pod
from .cloud import node
from .conftest import CHART, INJECTION, WORK, helm, install, kubectl, onboard, until

Object = dict[str, Any]
HOME = ("--namespace", "idaas-sidecar")
IMAGE = "idaas-credential-sidecar"

ASK = """
import http.client, json, os, ssl, sys, time
print(os.getpid(), flush=True)
pki, body = sys.argv[1:]
context = ssl.create_default_context(cafile=pki + "/ca.crt")
context.load_cert_chain(pki + "/admin.crt", pki + "/admin.key")
api = http.client.HTTPSConnection("10.55.0.1", 16443, context=context)
last = None
while True:
    sent = time.monotonic()
    api.request("POST", "/api/v1/namespaces/shop/pods?dryRun=All", body, {"Content-Type": "application/json"})
    answer = json.loads(api.getresponse().read())
    found = [each["image"] for each in answer.get("spec", {}).get("initContainers", ())]
    what = found[0] if found else answer.get("message", "not injected")
    if what != last:
        print(json.dumps([sent, what]), flush=True)
        last = what
    time.sleep(0.01)
"""
"""Prints its process ID, then asks for the same pod again and again, and prints each change of the answer."""


class Asking:
    """Asks until `stop`, which returns the answers: the time and the image, or why the pod is refused."""

    def __init__(self) -> None:
        pki = str(WORK / "run" / "pki")
        command = [WORK / "in", sys.executable, "-c", ASK, pki, json.dumps(pod())]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def stop(self) -> list[tuple[float, str]]:
        """End the process in the node, because a signal to `in` does not reach it, and return its answers."""
        assert self._process.stdout is not None
        node("kill", self._process.stdout.readline().strip())
        with self._process:
            return [tuple(json.loads(line)) for line in self._process.stdout]


def refused(answers: list[tuple[float, str]]) -> tuple[float, set[str]]:
    """Return the seconds from the first refusal to the end of the last one, and the messages."""
    found = [place for place, (_, what) in enumerate(answers) if not what.startswith(IMAGE)]
    seconds = answers[found[-1] + 1][0] - answers[found[0]][0] if found else 0.0
    return seconds, {answers[place][1] for place in found}


def upgrade(tag: str) -> tuple[float, set[str]]:
    """Upgrade the image; return what `refused` does once new pods have had it for 3 s."""
    asking = Asking()
    time.sleep(2)
    helm("upgrade", "sidecar", str(CHART), *HOME, "--reuse-values", "--wait", "--set", f"image.tag={tag}")
    until(lambda: f'"{IMAGE}:{tag}"' in _admitted())
    time.sleep(3)
    answers = asking.stop()
    assert answers[-1][1] == f"{IMAGE}:{tag}"
    return refused(answers)


def _admitted() -> str:
    return kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", given=pod(), check=False).stdout


@pytest.mark.parametrize("injection", ["policy", "webhook"])
def test_refusals_during_an_upgrade(injection: str) -> None:
    """A new pod is refused only for the difference between two images, and only until both versions agree."""
    socket = str(WORK / "run" / "containerd.sock")
    reference = f"docker.io/library/{IMAGE}:{__version__}"
    node("ctr", "-a", socket, "-n", "k8s.io", "images", "tag", "--force", reference, f"{reference}-next")
    install(injection)
    until(lambda: IMAGE in _admitted())
    time.sleep(3)
    try:
        for tag in (f"{__version__}-next", __version__, f"{__version__}-next"):
            seconds, messages = upgrade(tag)
            print(f"{injection}: {seconds:.1f} s from the first refusal to the last one")
            assert all("differs from the injected one" in each for each in messages)
    finally:
        install(INJECTION)
        onboard()
