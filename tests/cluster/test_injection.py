"""Which pods the policies inject, refuse or leave alone, as the API server itself decides (server-side dry run)."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest
import yaml

from ..golden_pods import (
    ALTERED,
    GOLDEN,
    INJECTED,
    PREFIX,
    REFUSED,
    RESTRICTED,
    altered,
    change,
    golden,
    plain,
    pod,
    pod_of,
    policy,
    profile,
    workload,
)
from .conftest import dry_run, get, kubectl, refusal, until

Object = dict[str, Any]


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


def test_idempotent() -> None:
    """A pod that is already injected, for example a copy of a running pod, stays as it is."""
    once = dry_run(pod())
    twice = dry_run(plain(once))

    assert plain(twice) == plain(once)


@pytest.mark.parametrize("name", INJECTED)
def test_golden_pods(name: str) -> None:
    """The pods are those in golden/, after defaulting; UPDATE_GOLDEN=1 writes them."""
    made = plain(dry_run(pod_of(INJECTED[name])))
    if os.environ.get("UPDATE_GOLDEN") == "1":
        (GOLDEN / f"{name}.yaml").write_text(yaml.safe_dump(made, sort_keys=True, width=120))

    assert golden(name) == made


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"])
def test_workloads(kind: str) -> None:
    """The pods of every kind of workload are injected, because the policy is about pods."""
    name = f"kind-{kind.lower()}"
    changes = {"restartPolicy": "Never"} if kind in ("Job", "CronJob") else {}
    wanted = workload(kind, **changes)
    wanted["metadata"]["name"] = name
    kubectl("create", "-f", "-", given=wanted)
    try:
        made = until(
            lambda: [each for each in get("pods", "-n", "shop")["items"] if each["metadata"]["name"].startswith(name)]
        )
        assert made[0]["spec"]["initContainers"][0]["name"] == "idaas-sidecar"
    finally:
        kubectl("delete", kind, name, "-n", "shop", "--wait=false")
        kubectl("delete", "pods", "-n", "shop", "--all", "--grace-period=0", "--force", "--wait=false")


def test_without_the_label_nothing_happens() -> None:
    """A pod without label and annotation is left alone."""
    wanted = pod()
    wanted["metadata"].pop("labels")
    wanted["metadata"].pop("annotations")

    assert "initContainers" not in dry_run(wanted)["spec"]


def test_windows_is_skipped_with_a_warning() -> None:
    """A pod for a Windows node is not injected, and kubectl prints the reason."""
    wanted = pod(nodeSelector={"kubernetes.io/os": "windows"})
    done = kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", given=wanted)

    assert "initContainers" not in json.loads(done.stdout)["spec"]
    assert "does not run on Windows nodes" in done.stderr


def test_rrsa_is_a_warning() -> None:
    """A pod with the variables of RRSA is injected, with a warning that the SDKs prefer RRSA."""
    wanted = pod()
    wanted["spec"]["containers"][0]["env"] = [{"name": "ALIBABA_CLOUD_ROLE_ARN", "value": "acs:ram::1:role/x"}]

    assert "variables of RRSA" in kubectl("create", "--dry-run=server", "-f", "-", given=wanted).stderr


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    """A pod that the platform does not allow is refused, with a message that says what to do."""
    path, value, message = REFUSED[case]

    with_reason = refusal(change(path, value))

    assert "idaas-sidecar" in with_reason
    assert re.search(message, with_reason), with_reason


@pytest.mark.parametrize("case", ALTERED)
def test_altered(case: str) -> None:
    """A copy of an injected pod with one change is refused; the configuration is replaced by the platform's."""
    message = ALTERED[case][2]
    injected = dry_run(pod(namespace="lab"))
    wanted = altered(case, injected)

    if message is None:
        assert dry_run(wanted)["metadata"]["annotations"] == injected["metadata"]["annotations"]
    else:
        assert message in refusal(wanted)


def test_a_namespace_without_a_policy() -> None:
    """In a namespace that the platform has not onboarded, a pod with the label is refused."""
    wanted = pod()
    wanted["metadata"]["namespace"] = "default"
    wanted["spec"]["serviceAccountName"] = "default"

    assert "no params found" in refusal(wanted)


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
