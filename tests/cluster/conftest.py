"""The cluster of the tests: a real Kubernetes in K8S_WORK, the chart installed in it, and three onboarded namespaces.

The modules, and the tests of a module, run in any order: each restores what it changes.

K8S_WORK names a folder with `kc` (kubectl as administrator of a running cluster), `in` (a command in the node's
namespaces) and `tools/helm`. The images idaas-credential-sidecar:VERSION, idaas-credential-sidecar:VERSION-emulator and
your-app:1.0 are on the node. Without the folder the tests are skipped.

kubelet in these namespaces has the name `kubelet`, and containerd the socket run/containerd.sock.

Below Kubernetes 1.36 there are no policies: INJECTION=webhook pytest -m cluster tests/cluster/test_webhook.py
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..golden_pods import NAMESPACES, POLICIES, pod

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "idaas-credential-sidecar"
WORK = Path(os.environ.get("K8S_WORK", "/nonexistent"))
INJECTION = os.environ.get("INJECTION", "policy")
"""The injection that is installed before and after the tests of the webhooks."""

NEEDED = ("kc", "in", "tools/helm", "tools/kubectl")
Object = dict[str, Any]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test of this folder with `cluster`, and skip it without a cluster."""
    missing = [name for name in NEEDED if not (WORK / name).exists()]
    reason = f"needs a running cluster in K8S_WORK={WORK}: no {', '.join(missing)}"
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            if missing:
                item.add_marker(pytest.mark.skip(reason=reason))


def kubectl(*arguments: str, given: object = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run kubectl as administrator; `given` is an object, or a list of objects, for its standard input."""
    text = None if given is None else yaml.safe_dump_all(given if isinstance(given, list) else [given])
    done = subprocess.run(
        [WORK / "kc", *arguments], input=text, capture_output=True, text=True, timeout=120, check=False
    )
    assert not check or done.returncode == 0, done.stderr
    return done


def get(*arguments: str) -> Object:
    """Return what `kubectl get` prints, as a value."""
    return json.loads(kubectl("get", "-o", "json", *arguments).stdout)


def helm(*arguments: str, program: str = "helm") -> str:
    """Run helm, or another version of it, in the node's namespaces and return its output."""
    config = WORK / "run" / "pki" / "admin.conf"
    clean = ["env", "--unset=HTTP_PROXY", "--unset=HTTPS_PROXY", "--unset=http_proxy", "--unset=https_proxy"]
    command = [WORK / "in", *clean, f"KUBECONFIG={config}", WORK / "tools" / program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def install(injection: str) -> None:
    """Install the chart, or change its injection."""
    where = ("--namespace", "idaas-sidecar", "--create-namespace", "--wait")
    helm("upgrade", "--install", "sidecar", str(CHART), *where, "--set", f"injection={injection}")


def until(what: Callable[[], Any], seconds: float = 90) -> Any:
    """Return the first true value of `what`, called until the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.5)


def dry_run(wanted: Object) -> Object:
    """Return the pod that the API server would make of `wanted`."""
    return json.loads(kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", given=wanted).stdout)


def refusal(wanted: Object) -> str:
    """Return the message with which the API server refuses `wanted`."""
    done = kubectl("create", "--dry-run=server", "-f", "-", given=wanted, check=False)
    assert done.returncode != 0, f"accepted: {done.stdout}"
    return done.stderr


def onboard() -> None:
    """Write the CredentialPolicy of each namespace, and wait until the API server uses it."""
    for given in POLICIES.values():
        kubectl("apply", "-f", "-", given=given)

    def used(namespace: str) -> bool:
        done = kubectl(
            "create", "--dry-run=server", "-o", "yaml", "-f", "-", given=pod(namespace=namespace), check=False
        )
        return "http://127.0.0.1:7140" in done.stdout

    until(lambda: all(used(namespace) for namespace in NAMESPACES))


@pytest.fixture(scope="session", autouse=True)
def cluster() -> Iterator[None]:
    """Install the chart in a `restricted` namespace, and onboard the teams; delete their namespaces at the end."""
    if not all((WORK / name).exists() for name in NEEDED):
        yield
        return
    install(INJECTION)
    kubectl("label", "namespace", "idaas-sidecar", "pod-security.kubernetes.io/enforce=restricted", "--overwrite")
    for namespace, account in NAMESPACES.items():
        kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=true")
        restricted = {"pod-security.kubernetes.io/enforce": "restricted" if namespace != "lab" else "privileged"}
        metadata = {"name": namespace, "labels": restricted}
        kubectl("create", "-f", "-", given={"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        kubectl("create", "serviceaccount", account, "--namespace", namespace)
    onboard()
    yield
    kubectl("delete", "namespace", *NAMESPACES, "--wait=false")
