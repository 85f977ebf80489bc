"""The webhooks in a real cluster: the same table as for the policies, an outage, a rollout and a new certificate."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ..golden_pods import PREFIX, change, pod
from .admission import Admission, unconcerned
from .cloud import calls, install_world, running, with_cloud
from .conftest import INJECTION, WORK, get, install, kubectl, onboard, refusal, until

Object = dict[str, Any]
NAME = "idaas-sidecar-webhook"
HOME = ("--namespace", "idaas-sidecar")


@pytest.fixture(scope="module", autouse=True)
def webhook() -> Iterator[None]:
    """Replace the policies by the webhook, and install the policies again at the end."""
    install("webhook")
    onboard()
    yield
    install(INJECTION)
    onboard()


class TestAdmission(Admission):
    """The table of pods, with the webhooks."""

    no_policy = "the namespace default has no CredentialPolicy"
    second_container = 'Duplicate value: "idaas-sidecar"|a container has its name'


def test_the_policies_are_gone() -> None:
    """The webhooks alone inject here."""
    for kind in ("mutatingadmissionpolicies", "validatingadmissionpolicies"):
        assert "idaas-sidecar" not in kubectl("get", kind, "-o", "name", check=False).stdout
    assert get("deployment", NAME, *HOME)["status"]["readyReplicas"] == 2


def test_the_application_gets_credentials() -> None:
    """An injected pod runs, and the SDK gets credentials; what decides them cannot change while it runs."""
    install_world()
    kubectl("create", "-f", "-", given=with_cloud(pod("hooked")))
    try:
        until(lambda: running("hooked", "shop"))
        assert until(lambda: calls("hooked", "shop"))[0]["ok"] is True

        for kind, text in (("label", f"{PREFIX}/inject-"), ("annotate", f"{PREFIX}/profiles=shared")):
            options = ("--overwrite",) if kind == "annotate" else ()
            done = kubectl(kind, "pod", "hooked", "-n", "shop", text, *options, check=False)
            assert "of a running pod cannot change" in done.stderr
        kubectl("label", "pod", "hooked", "-n", "shop", "team=orders")
        debug = (
            "debug",
            "hooked",
            "-n",
            "shop",
            "--image=your-app:1.0",
            "--target=idaas-sidecar",
            "--profile=restricted",
        )
        assert "cannot join the sidecar" in kubectl(*debug, check=False).stderr
    finally:
        kubectl("delete", "pod", "hooked", "-n", "shop", "--grace-period=0", "--force")


def explain(given: str) -> subprocess.CompletedProcess[str]:
    """Run `webhook explain` in a pod of the webhook, with this text on standard input."""
    command = ("exec", "-i", *HOME, f"deploy/{NAME}", "--", "idaas-sidecar", "webhook", "explain", "-")
    return subprocess.run([WORK / "kc", *command], input=given, capture_output=True, text=True, timeout=60, check=False)


def test_explain_in_the_cluster() -> None:
    """`webhook explain` in a pod of the webhook asks the API server, and says in words what happens and why."""
    refused = explain(json.dumps(change("spec/hostNetwork", True, pod())))
    injected = explain(json.dumps(pod()))
    text = explain("kind: Pod\n")

    assert refused.stdout.startswith("Pod shop/app: refused\n  why: idaas-sidecar: hostNetwork is not possible")
    assert "  adds: container idaas-sidecar, image idaas-credential-sidecar:" in injected.stdout
    assert "install idaas-credential-sidecar[webhook], or write the file as JSON" in text.stderr


def test_metrics() -> None:
    """Each replica counts its admissions, and has the expiry of the certificate for 10 years."""
    wanted = {**pod(), "metadata": {**pod()["metadata"], "name": "counted"}}
    before = _series('requests_total{outcome="injected",webhook="mutate"}')
    for _ in range(4):
        assert not _failure(wanted)

    assert _series('requests_total{outcome="injected",webhook="mutate"}') == before + 4
    assert _series("certificate_not_after_timestamp_seconds") > 2 * (time.time() + 9.9 * 365 * 86_400)


def test_an_outage_stops_no_other_pod() -> None:
    """Without the webhook, pods with the label are refused; others start, and running pods can change and end."""
    kubectl("create", "-f", "-", given=pod("before"))
    kubectl("scale", "deployment", NAME, *HOME, "--replicas=0")
    kubectl("wait", "--for=delete", "pod", "-l", f"app.kubernetes.io/name={NAME}", *HOME, "--timeout=60s")
    try:
        assert "failed calling webhook" in until(lambda: _failure(pod()))
        annotated = pod()
        annotated["metadata"]["labels"] = {}
        assert "failed calling webhook" in refusal(annotated)
        kubectl("create", "-f", "-", given=unconcerned("other"))
        kubectl("label", "pod", "before", "-n", "shop", "team=orders")
        kubectl(
            "patch",
            "pod",
            "before",
            "-n",
            "shop",
            "--type=merge",
            "-p",
            '{"metadata":{"finalizers":["example.com/x"]}}',
        )
        kubectl("patch", "pod", "before", "-n", "shop", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        kubectl("delete", "pod", "before", "other", "-n", "shop", "--grace-period=0", "--force")
    finally:
        kubectl("scale", "deployment", NAME, *HOME, "--replicas=2")
        kubectl("rollout", "status", "deployment", NAME, *HOME, "--timeout=90s")
    until(lambda: not _failure(pod()))


def test_a_rollout_refuses_no_pod() -> None:
    """While the webhook's pods are replaced, every pod with the label is admitted."""
    failures: list[str] = []
    admitted = 0
    over = threading.Event()

    def admit() -> None:
        nonlocal admitted
        while not over.is_set():
            failure = _failure(pod())
            failures.extend([failure] if failure else [])
            admitted += not failure

    thread = threading.Thread(target=admit)
    thread.start()
    try:
        for _ in range(5):  # a slow machine admits fewer pods in one rollout
            kubectl("rollout", "restart", "deployment", NAME, *HOME)
            kubectl("rollout", "status", "deployment", NAME, *HOME, "--timeout=90s")
            kubectl("wait", "--for=jsonpath={.status.replicas}=2", "deployment", NAME, *HOME, "--timeout=60s")
            if admitted >= 10:
                break
    finally:
        over.set()
        thread.join()

    assert failures == []
    assert admitted >= 10


def test_a_new_certificate_without_a_restart() -> None:
    """A new CA and certificate in the Secret are used when kubelet has brought them, by the pods that run already."""
    before = _pods()
    kubectl("delete", "secret", f"{NAME}-tls", *HOME)
    install("webhook")

    # kubelet renews the files of a volume within a minute or two.
    until(lambda: "webhook_certificate_replaced" in _log(), 180)
    until(lambda: not any(_failure(pod()) for _ in range(5)), 60)
    assert _pods() == before


def _failure(wanted: Object) -> str:
    """Return why the API server refuses a pod, or an empty text."""
    done = kubectl("create", "--dry-run=server", "-f", "-", given=wanted, check=False)
    return done.stderr if done.returncode else ""


def _pods() -> set[tuple[str, int]]:
    """Return the webhook's pods and their restarts."""
    found = get("pods", *HOME, "-l", f"app.kubernetes.io/name={NAME}")["items"]
    return {
        (each["metadata"]["name"], each["status"]["containerStatuses"][0]["restartCount"])
        for each in found
        if "deletionTimestamp" not in each["metadata"]
    }


def _series(name: str) -> float:
    """Return the sum of a series over the replicas."""
    texts = [
        kubectl("get", "--raw", f"/api/v1/namespaces/idaas-sidecar/pods/{each}:8080/proxy/metrics").stdout
        for each, _ in _pods()
    ]
    lines = [line for text in texts for line in text.splitlines() if line.startswith(f"idaas_sidecar_webhook_{name} ")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def _log() -> str:
    """Return the logs of the replicas. Pods of an earlier rollout may disappear meanwhile."""
    return "".join(kubectl("logs", *HOME, each, "--tail=-1").stdout for each, _ in _pods())
