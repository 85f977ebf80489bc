"""kube-score and checkov: every finding is one of the exceptions below, and every exception is a finding."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from .conftest import ROOT
from .test_chart import KUBE_VERSIONS, program

PULL = "a version or a digest never changes, so a node that has the image starts without the registry (pullPolicy)"
CPU = "a CPU limit pauses the process for tens of milliseconds while the node is idle; the request guarantees its share"
DISK = "the root file system is read-only and no volume is on disk; kubelet bounds the log"
SIDECAR = {
    "container-image-pull-policy": PULL,
    "container-resources": CPU,
    "container-ephemeral-storage-request-and-limit": DISK,
}
"""The reason for each check that the container idaas-sidecar does not pass."""

WEBHOOK = {
    **SIDECAR,
    "deployment-has-host-podantiaffinity": "topologySpreadConstraints spread the replicas over nodes and zones",
    "pod-networkpolicy": "opt-in, and for ingress alone: a NetworkPolicy cannot name the API server",
}
"""The same for the webhook's Deployment."""

DOCTOR = {"pod-networkpolicy": "the job has no port, and a NetworkPolicy cannot name STS: it has addresses, not names"}
"""The same for the CronJob of the doctor."""

CHECKOV = {
    "CKV_K8S_11": CPU,
    "CKV_K8S_15": PULL,
    "CKV_K8S_38": "the webhook reads CredentialPolicies from the API server; its ClusterRole allows nothing else",
    "CKV_K8S_43": "image.digest sets one; the default is the version, which the platform builds itself",
}
"""The reason for each check of checkov that the webhook does not pass. The policies pass all."""

DOCTOR_CHECKOV = {
    "CKV_K8S_11": CPU,
    "CKV_K8S_15": PULL,
    "CKV_K8S_35": "the AccessKey of --read-ram is opt-in (doctor.env), and SDKs read it from variables",
    "CKV_K8S_43": CHECKOV["CKV_K8S_43"],
}
"""The same for the CronJob of the doctor."""

NO_NETWORK_POLICY = "CKV2_K8S_6"
"""The NetworkPolicy is opt-in: its addresses of the API server differ from cluster to cluster."""


def findings(path: Path, *paths: str) -> set[str]:
    """Return the checks that an object or one of these containers does not pass."""
    done = subprocess.run(
        [program("kube-score"), "score", path, "-o", "json"], capture_output=True, text=True, check=False
    )
    checks = [check for each in json.loads(done.stdout) or () for check in each["checks"]]
    return {
        check["check"]["id"]
        for check in checks
        if not check["skipped"]
        and check["grade"] < 10
        and any(comment["path"] in paths for comment in check["comments"] or ())
    }


@pytest.mark.parametrize("values", KUBE_VERSIONS)
def test_the_chart(values: str) -> None:
    """The webhook and the doctor have the exceptions above; the policies have none."""
    expected = {"webhook": set(WEBHOOK), "cert-manager": set(WEBHOOK), "doctor": set(DOCTOR)}.get(values, set())

    assert findings(ROOT / "tests" / "deploy" / "golden" / f"{values}.yaml", "", "webhook") == expected


@pytest.mark.parametrize("path", ["deploy/kubernetes/sidecar.yaml", "tests/cluster/golden/bare.yaml"])
def test_the_sidecar(path: str) -> None:
    """The container has the exceptions above, in the manifest and as the policies inject it."""
    assert findings(ROOT / path, "idaas-sidecar") == set(SIDECAR)


@pytest.mark.parametrize("values", KUBE_VERSIONS)
def test_checkov(values: str) -> None:
    """The webhook and the doctor have the exceptions above, and no other object has one."""
    path = ROOT / "tests" / "deploy" / "golden" / f"{values}.yaml"
    command = [program("checkov"), "--framework", "kubernetes", "--file", path, "--compact", "--output", "json"]
    done = subprocess.run([*command, "--skip-download"], capture_output=True, text=True, check=False)
    failed = json.loads(done.stdout).get("results", {}).get("failed_checks", [])

    expected = {
        "webhook": set(CHECKOV),
        "cert-manager": {*CHECKOV, NO_NETWORK_POLICY},
        "doctor": set(DOCTOR_CHECKOV),
    }
    assert {each["check_id"] for each in failed} == expected.get(values, set())
