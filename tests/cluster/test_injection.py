"""Which pods the policies inject, refuse or leave alone, as the API server itself decides (server-side dry run)."""

from __future__ import annotations

import copy
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import RESTRICTED, dry_run, get, kubectl, plain, pod, policy, profile, refusal, until

Object = dict[str, Any]
PREFIX = "idaas-sidecar.internal"


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


SETUP: Object = {"name": "setup", "image": "your-app:1.0", "securityContext": RESTRICTED}
DATA: Object = {"name": "data", "emptyDir": {}}
POLICY_PODS: dict[str, Object] = {
    "bare": {},
    "init-container": {"initContainers": [SETUP]},
    "volumes-and-variables": {
        "volumes": [DATA],
        "containers": [
            {
                "name": "app",
                "image": "your-app:1.0",
                "securityContext": RESTRICTED,
                "env": [{"name": "A", "value": "b"}],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }
        ],
    },
    "native-sidecar": {"initContainers": [{**SETUP, "restartPolicy": "Always"}]},
    "no-api-token": {"automountServiceAccountToken": False},
}


@pytest.mark.parametrize("name", POLICY_PODS)
def test_golden_pods(name: str) -> None:
    """The pods are those in golden/, after defaulting; UPDATE_GOLDEN=1 writes them."""
    made = plain(dry_run(pod(**POLICY_PODS[name])))
    path = Path(__file__).parent / "golden" / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.write_text(yaml.safe_dump(made, sort_keys=True, width=120))

    assert yaml.safe_load(path.read_text()) == made


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"])
def test_workloads(kind: str) -> None:
    """The pods of every kind of workload are injected, because the policy is about pods."""
    single = pod()
    template = {"metadata": {key: single["metadata"][key] for key in ("labels", "annotations")}, "spec": single["spec"]}
    if kind in ("Job", "CronJob"):
        template["spec"]["restartPolicy"] = "Never"
    spec: Object = {"template": template}
    if kind not in ("Job", "CronJob"):
        spec["selector"] = {"matchLabels": template["metadata"]["labels"]}
    if kind == "StatefulSet":
        spec["serviceName"] = "none"
    if kind == "CronJob":
        spec = {"schedule": "* * * * *", "jobTemplate": {"spec": spec}}
    version = "batch/v1" if kind in ("Job", "CronJob") else "apps/v1"
    name = f"kind-{kind.lower()}"
    workload = {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "shop"}, "spec": spec}
    kubectl("create", "-f", "-", given=workload)
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


def change(path: str, value: Any, base: Object | None = None) -> Object:
    """Return a pod with one member replaced; numbers in the path are indexes, `~` stands for `/` in a name."""
    wanted = copy.deepcopy(base or pod(namespace="lab"))
    *parents, last = [int(part) if part.isdigit() else part.replace("~", "/") for part in path.split("/")]
    place: Any = wanted
    for part in parents:
        place = place.setdefault(part, {}) if isinstance(place, dict) else place[part]
    if value is None:
        del place[last]
    elif isinstance(place, list):
        place.insert(int(last), value)
    else:
        place[last] = value
    return wanted


PROFILES = f"metadata/annotations/{PREFIX}~profiles"
REFUSED = {
    "a profile of another namespace": (PROFILES, "ledger", "may use the profiles \\[orders, shared\\]"),
    "one allowed and one not": (PROFILES, "orders,ledger", "the pod requests \\[orders, ledger\\]"),
    "a role instead of a profile": (PROFILES, "acs:ram::1234567890123456:role/admin", "may use the profiles"),
    "no annotation": (PROFILES, None, "profiles is missing"),
    "another service account": (
        "spec/serviceAccountName",
        "default",
        "service account default may use the profiles \\[\\]",
    ),
    "hostNetwork": ("spec/hostNetwork", True, "hostNetwork is not possible"),
    "annotation without label": ("metadata/labels", None, "but not the label"),
    "a variable of its own": (
        "spec/containers/0/env",
        [{"name": "ALIBABA_CLOUD_CREDENTIALS_URI", "value": "http://10.0.0.1/credentials"}],
        "sets PATH_TOKEN",
    ),
    "a path token of its own": ("spec/containers/0/env", [{"name": "PATH_TOKEN", "value": "known"}], "sets PATH_TOKEN"),
    "a container with the name": (
        "spec/containers/1",
        {"name": "idaas-sidecar", "image": "your-app:1.0", "securityContext": RESTRICTED},
        'Duplicate value: "idaas-sidecar"',
    ),
    "an imitation": (
        "spec/initContainers",
        [{"name": "idaas-sidecar", "image": "evil:1", "restartPolicy": "Always", "securityContext": RESTRICTED}],
        "differs from the injected one",
    ),
    "a mount of the token": (
        "spec/containers/0/volumeMounts",
        [{"name": "idaas-sidecar-identity", "mountPath": "/token"}],
        "other than idaas-sidecar mounts",
    ),
    "a volume with the name": (
        "spec/volumes",
        [{"name": "idaas-sidecar-identity", "emptyDir": {}}],
        "volumes idaas-sidecar-\\* differ",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    """A pod that the platform does not allow is refused, with a message that says what to do."""
    path, value, message = REFUSED[case]

    with_reason = refusal(change(path, value))

    assert "idaas-sidecar" in with_reason
    assert re.search(message, with_reason), with_reason


SIDECAR = "spec/initContainers/0"
ALTERED = {
    "image": (f"{SIDECAR}/image", "evil:1", "differs from the injected one"),
    "command": (f"{SIDECAR}/command", ["sh"], "differs from the injected one"),
    "args": (f"{SIDECAR}/args", ["get"], "differs from the injected one"),
    "lifecycle": (
        f"{SIDECAR}/lifecycle",
        {"postStart": {"exec": {"command": ["cat", "/var/run/secrets/idaas-sidecar/token"]}}},
        "differs from the injected one",
    ),
    "probe": (f"{SIDECAR}/startupProbe", {"exec": {"command": ["cat"]}}, "probes"),
    "probe elsewhere": (f"{SIDECAR}/livenessProbe/httpGet/host", "203.0.113.7", "probes"),
    "user": (f"{SIDECAR}/securityContext/runAsUser", 1000, "security context"),
    "variable": (f"{SIDECAR}/env/0", {"name": "PYTHONPATH", "value": "/x"}, "variables"),
    "mount": (f"{SIDECAR}/volumeMounts/0", {"name": "x", "mountPath": "/opt/idaas-sidecar/lib"}, "mounts"),
    "disk": ("spec/volumes/2/emptyDir", {}, "volumes"),
    "URI": ("spec/containers/0/env/1/value", "http://10.0.0.1/", "sets PATH_TOKEN"),
    "configuration": (f"metadata/annotations/{PREFIX}~config", "{}", None),
}


@pytest.mark.parametrize("case", ALTERED)
def test_altered(case: str) -> None:
    """A copy of an injected pod with one change is refused; the configuration is replaced by the platform's."""
    path, value, message = ALTERED[case]
    injected = dry_run(pod(namespace="lab"))
    wanted = change(path, value, plain(injected))
    if case == "mount":
        wanted["spec"]["volumes"].append({"name": "x", "emptyDir": {}})

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
