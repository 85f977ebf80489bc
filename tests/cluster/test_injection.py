"""Which pods the policies inject, refuse or leave alone, as the API server itself decides (server-side dry run)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ..golden_pods import PREFIX, RESTRICTED, pod, policy, profile, workload
from .admission import Admission
from .cloud import delete
from .conftest import dry_run, get, kubectl, until

Object = dict[str, Any]


class TestAdmission(Admission):
    """The table of pods, with the policies."""

    no_policy = "no params found"
    second_container = 'Duplicate value: "idaas-sidecar"'


def variables(container: Object) -> dict[str, str]:
    """Return each variable's value, or the field of the pod from which it is taken."""
    return {
        each["name"]: each["value"] if "value" in each else each["valueFrom"]["fieldRef"]["fieldPath"]
        for each in container.get("env", ())
    }


def test_the_sidecar_is_first() -> None:
    """The sidecar is the first init container, so that other init containers have credentials too."""
    spec = dry_run(pod(initContainers=[{"name": "setup", "image": "your-app:1.0", "securityContext": RESTRICTED}]))[
        "spec"
    ]

    assert [each["name"] for each in spec["initContainers"]] == ["idaas-sidecar", "setup"]
    assert spec["initContainers"][0]["restartPolicy"] == "Always"


def test_every_container_has_the_variables() -> None:
    """Application and init containers get the URI of the first profile; a value may use the path token before it."""
    setup = {"name": "setup", "image": "your-app:1.0", "securityContext": RESTRICTED}
    app = {"name": "app", "image": "your-app:1.0", "securityContext": RESTRICTED, "env": [{"name": "A", "value": "b"}]}
    spec = dry_run(pod(initContainers=[setup], containers=[app]))["spec"]

    for container in (spec["initContainers"][1], spec["containers"][0]):
        assert variables(container) | {"A": "b"} == {
            "PATH_TOKEN": "metadata.uid",
            "ALIBABA_CLOUD_CREDENTIALS_URI": "http://127.0.0.1:7117/$(PATH_TOKEN)/credentials/orders",
            "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true",
            "A": "b",
        }
        assert list(variables(container))[:2] == ["PATH_TOKEN", "ALIBABA_CLOUD_CREDENTIALS_URI"]


def test_the_configuration_is_the_platforms() -> None:
    """The configuration has the role, the provider and the endpoints of the CredentialPolicy, for the named ones."""
    wanted = pod()
    wanted["metadata"]["annotations"][f"{PREFIX}/profiles"] = "shared, orders"
    injected = dry_run(wanted)
    config = json.loads(injected["metadata"]["annotations"][f"{PREFIX}/config"])

    assert set(config["profiles"]) == {"orders", "shared"}
    assert config["profiles"]["orders"]["exchange"] == {
        "type": "sts",
        "roleArn": "acs:ram::1234567890123456:role/orders",
        "oidcProviderArn": "acs:ram::1234567890123456:oidc-provider/cluster",
        "endpoints": ["http://127.0.0.1:7140"],
    }
    assert variables(injected["spec"]["containers"][0])["ALIBABA_CLOUD_CREDENTIALS_URI"].endswith("/credentials/shared")


def pods_of(workload: str) -> list[Object]:
    """Return the pods that the controller of a workload has made."""
    return [each for each in get("pods", "-n", "shop")["items"] if each["metadata"]["name"].startswith(f"{workload}-")]


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"])
def test_workloads(kind: str) -> None:
    """The pods of every kind of workload are injected, because the policy is about pods."""
    name = f"kind-{kind.lower()}"
    changes = {"restartPolicy": "Never"} if kind in ("Job", "CronJob") else {}
    wanted = workload(kind, **changes)
    wanted["metadata"]["name"] = name
    kubectl("create", "-f", "-", given=wanted)
    try:
        made = until(lambda: pods_of(name))
        assert made[0]["spec"]["initContainers"][0]["name"] == "idaas-sidecar"
    finally:
        kubectl("delete", kind, name, "-n", "shop", "--wait=false")
        for each in pods_of(name):
            delete(each["metadata"]["name"], namespace="shop")


def test_one_policy_in_each_namespace() -> None:
    """A second CredentialPolicy in a namespace is refused, and so is a role with characters that JSON escapes."""
    second = policy("shop", profile("admin", "orders"))
    second["metadata"]["name"] = "second"
    quoted = policy("shop", profile("admin", "orders", roleArn='acs:ram::1:role/x","a":"b'))

    for refused in (second, quoted):
        done = kubectl("apply", "--dry-run=server", "-f", "-", given=refused, check=False)
        assert done.returncode == 1
        assert "Invalid value" in done.stderr


@pytest.mark.parametrize(
    ("role", "verb", "allowed"), [("edit", "create", "no"), ("admin", "update", "no"), ("view", "get", "yes")]
)
def test_teams_read_the_policy_and_cannot_write_it(role: str, verb: str, allowed: str) -> None:
    """The roles that teams have let them read what they may use, and not change it."""
    kubectl("create", "rolebinding", f"team-{role}", "-n", "shop", f"--clusterrole={role}", "--user=dev")
    try:
        resource = "credentialpolicies.idaas-sidecar.internal"
        asked = until(
            lambda: (
                (done := kubectl("auth", "can-i", verb, resource, "-n", "shop", "--as=dev", check=False).stdout.strip())
                == allowed
                and done
            )
        )
        assert asked == allowed
    finally:
        kubectl("delete", "rolebinding", f"team-{role}", "-n", "shop")
