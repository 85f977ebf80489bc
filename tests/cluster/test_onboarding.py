"""The section "Onboard a team" of docs/kubernetes.md, followed for a second team to its last command."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from .cloud import VOLUMES, emulator_policy, world
from .conftest import ROOT, get, kubectl, until
from .test_lifecycle import block

Object = dict[str, Any]
NAMESPACE, NAME = "payments", "ledger"
ACCOUNT = "acs:ram::1234567890123456"
NAMES = {"orders": NAME, "shop": NAMESPACE, "your-cluster": "lab"}
"""What a reader replaces in the blocks of the page."""


def replaced(name: str) -> str:
    """Return a block of the page with the names of the second team."""
    text = block(name)
    for old, new in NAMES.items():
        text = text.replace(old, new)
    return text


def plan() -> Object:
    """Run the page's `setup` with the issuer of this cluster; return the trust policy that it prints."""
    issuer = json.loads(kubectl("get", "--raw", "/.well-known/openid-configuration").stdout)["issuer"]
    _, *arguments = shlex.split(replaced("setup").replace("https://issuer.example.com", issuer))
    # The issuer answers in the node's network only. With a fingerprint, the command does not ask it.
    known = ("--format", "json", "--fingerprint", "0" * 40)
    done = subprocess.run(
        [sys.executable, "-m", "app", *arguments, *known], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (role,) = json.loads(done.stdout)["roles"]
    return role


def admitted(workload: Object) -> str:
    """Return the pod of a Deployment as the API server would make it; empty while it refuses the pod."""
    template = workload["spec"]["template"]
    metadata = {**template["metadata"], "name": "probe", "namespace": NAMESPACE}
    wanted = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    return kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", given=wanted, check=False).stdout


@pytest.fixture
def cloud() -> Iterator[None]:
    """Put the emulated cloud with the role of `setup` into the pods of the team."""
    role = plan()
    emulated = world()
    (provider,) = emulated["oidcProviders"].values()
    emulated["oidcProviders"] = {f"{ACCOUNT}:oidc-provider/lab": provider}
    emulated["roles"] = {role["arn"]: {"trustPolicy": role["trustPolicy"], "maxSessionDuration": 3600}}
    kubectl("create", "namespace", NAMESPACE)
    data = {"world.json": json.dumps(emulated)}
    metadata = {"name": "world", "namespace": NAMESPACE}
    kubectl("create", "-f", "-", given={"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    kubectl("apply", "-f", "-", given=emulator_policy(NAME))
    yield
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    kubectl("delete", "-f", "-", given=emulator_policy(NAME))


def test_a_second_team(cloud: None) -> None:
    """After the steps of the page the pods of a second team are ready, with the role of this team."""
    policy = yaml.safe_load(replaced("platform"))
    policy["spec"]["profiles"][0]["endpoints"] = ["http://127.0.0.1:7140"]
    kubectl("apply", "-f", "-", given=policy)
    kubectl("create", "serviceaccount", NAME, "--namespace", NAMESPACE)
    workload = yaml.safe_load(replaced("team"))
    workload["spec"]["template"]["spec"]["volumes"] = VOLUMES
    until(lambda: '"emulator"' in admitted(workload))
    kubectl("apply", "-f", "-", given=workload)
    until(lambda: get("pods", "-n", NAMESPACE, "-l", f"app={NAME}")["items"])
    waits, explains, asks, examines = (shlex.split(line) for line in replaced("check").splitlines())

    assert "successfully rolled out" in kubectl(*waits[1:]).stdout
    assert json.loads(kubectl(*asks[1:]).stdout) == {"status": "ok"}
    assert kubectl(*explains[1:]).stdout == ""
    assert f"system:serviceaccount:{NAMESPACE}:{NAME}" in kubectl(*examines[1:]).stdout


def test_a_mistake_of_the_team() -> None:
    """A Deployment with another team's profile has no pod; the last command of the page has the reason."""
    wrong = yaml.safe_load(block("team").replace("profiles: orders", "profiles: ledger"))
    wrong["metadata"]["name"] = "mistaken"
    _, explains, *_ = (shlex.split(line) for line in block("check").splitlines())
    kubectl("apply", "-f", "-", given=wrong)
    try:
        until(lambda: "the service account orders may use the profiles [orders" in kubectl(*explains[1:]).stdout)
    finally:
        kubectl("delete", "deployment", "mistaken", "--namespace", "shop")
