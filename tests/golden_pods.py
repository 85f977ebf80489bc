"""The table of pods for both injections, by policy and by webhook: what goes in, and what must come out.

The pods that come out are in tests/cluster/golden, after defaulting, as a real API server made them by the policies.
tests/webhook runs the table without a cluster, tests/cluster with both injections in a real one.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

GOLDEN = Path(__file__).parent / "cluster" / "golden"
PREFIX = "idaas-sidecar.internal"
PROVIDER = "acs:ram::1234567890123456:oidc-provider/cluster"
NAMESPACES = {"shop": "orders", "bank": "ledger", "lab": "orders"}
"""The namespaces of three teams, and the service account of each. All but `lab` enforce Pod Security `restricted`."""

RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}

Object = dict[str, Any]


def policy(namespace: str, *profiles: Object) -> Object:
    """Return the CredentialPolicy of a namespace."""
    return {
        "apiVersion": "idaas-sidecar.internal/v1alpha1",
        "kind": "CredentialPolicy",
        "metadata": {"name": "default", "namespace": namespace},
        "spec": {"profiles": list(profiles)},
    }


def profile(name: str, *accounts: str, **more: Any) -> Object:
    """Return a profile whose role has its name. Its STS endpoint is the emulator in the same pod."""
    return {
        "name": name,
        "serviceAccounts": list(accounts),
        "roleArn": f"acs:ram::1234567890123456:role/{name}",
        "oidcProviderArn": PROVIDER,
        "endpoints": ["http://127.0.0.1:7140"],
        **more,
    }


POLICIES = {
    "shop": policy("shop", profile("orders", "orders"), profile("shared", "orders")),
    "lab": policy("lab", profile("orders", "orders"), profile("shared", "orders")),
    "bank": policy("bank", profile("ledger", "ledger")),
}
"""The CredentialPolicy of each namespace."""


def pod(name: str = "app", namespace: str = "shop", **changes: Any) -> Object:
    """Return a pod of a team that requests the profile of its namespace; `changes` replace members of its spec."""
    account = NAMESPACES[namespace]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"idaas-sidecar.internal/inject": "true"},
            "annotations": {"idaas-sidecar.internal/profiles": account},
        },
        "spec": {
            "serviceAccountName": account,
            "terminationGracePeriodSeconds": 10,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "app", "image": "your-app:1.0", "securityContext": RESTRICTED}],
            **changes,
        },
    }


def plain(injected: Object) -> Object:
    """Return a pod without what the API server adds to each pod, as a user would copy it."""
    wanted = copy.deepcopy(injected)
    wanted.pop("status", None)
    kept = ("name", "namespace", "labels", "annotations")
    wanted["metadata"] = {key: value for key, value in wanted["metadata"].items() if key in kept}
    spec = wanted["spec"]
    api_access = [each["name"] for each in spec["volumes"] if each["name"].startswith("kube-api-access")]
    spec["volumes"] = [each for each in spec["volumes"] if each["name"] not in api_access]
    for container in [*spec.get("initContainers", ()), *spec["containers"]]:
        mounts = [each for each in container.get("volumeMounts", ()) if each["name"] not in api_access]
        container["volumeMounts"] = mounts
    return wanted


# --- pods that are injected -------------------------------------------------------------------------------------------

VARIABLE: Object = {"name": "A", "value": "b"}
SETUP: Object = {"name": "setup", "image": "your-app:1.0", "securityContext": RESTRICTED}
APP: Object = {"name": "app", "image": "your-app:1.0", "securityContext": RESTRICTED}
DATA: Object = {"name": "data", "emptyDir": {}}
MOUNT: Object = {"name": "data", "mountPath": "/data"}
RRSA: Object = {"name": "ALIBABA_CLOUD_ROLE_ARN", "value": "acs:ram::1:role/x"}


def workload(kind: str, **changes: Any) -> Object:
    """Return a workload whose template is the pod with these changes."""
    single = pod(**changes)
    template = {"metadata": {key: single["metadata"][key] for key in ("labels", "annotations")}, "spec": single["spec"]}
    spec: Object = {"template": template}
    if kind not in ("Job", "CronJob"):
        spec["selector"] = {"matchLabels": template["metadata"]["labels"]}
    if kind == "StatefulSet":
        spec["serviceName"] = "none"
    if kind == "CronJob":
        spec = {"schedule": "* * * * *", "jobTemplate": {"spec": spec}}
    version = "batch/v1" if kind in ("Job", "CronJob") else "apps/v1"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "app", "namespace": "shop"}, "spec": spec}


INJECTED: Mapping[str, Object] = {
    "bare": pod(),
    "init-container": pod(initContainers=[SETUP]),
    "volumes-and-variables": pod(volumes=[DATA], containers=[{**APP, "env": [VARIABLE], "volumeMounts": [MOUNT]}]),
    "native-sidecar": pod(initContainers=[{**SETUP, "restartPolicy": "Always"}]),
    "no-api-token": pod(automountServiceAccountToken=False),
    "deployment": workload("Deployment", containers=[APP, {**APP, "name": "proxy", "env": [VARIABLE]}]),
    "stateful-set": workload(
        "StatefulSet",
        volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data-app-0"}}],
        containers=[{**APP, "volumeMounts": [MOUNT]}],
    ),
    "job": workload("Job", restartPolicy="Never"),
    "cron-job": workload("CronJob", restartPolicy="OnFailure", initContainers=[SETUP]),
    "rrsa": pod(containers=[{**APP, "env": [RRSA]}]),
}
"""Pods and workloads whose pods become those of golden/NAME.yaml."""


def pod_of(given: Object) -> Object:
    """Return the pod itself, or the pod that the controller of a workload makes, with the workload's name."""
    if given["kind"] == "Pod":
        return copy.deepcopy(given)
    spec = given["spec"]
    template = (spec["jobTemplate"]["spec"] if given["kind"] == "CronJob" else spec)["template"]
    metadata = {**given["metadata"], **template["metadata"]}
    return copy.deepcopy({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})


def golden(name: str) -> Object:
    """Return the injected pod after defaulting, without what the API server adds to each pod."""
    return yaml.safe_load((GOLDEN / f"{name}.yaml").read_text())


# --- pods that are refused --------------------------------------------------------------------------------------------


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
"""Changes of a pod of `lab`, and a pattern of the message that refuses it."""

OTHER_VALUES = ("yes", "True", "1", "on", "")
"""Values of the label that a person may mean as `true`. Each is refused in a new pod."""


def labelled(value: str, *, annotated: bool) -> Object:
    """Return a pod of `shop` with this value of the label, with or without the annotation."""
    wanted = pod()
    wanted["metadata"]["labels"] = {f"{PREFIX}/inject": value}
    if not annotated:
        del wanted["metadata"]["annotations"]
    return wanted


def label_message(value: str) -> str:
    """Return the message that refuses the value."""
    return (
        f'idaas-sidecar: the label {PREFIX}/inject has the value "{value}", so the pod would start without '
        'credentials. For pods with the sidecar, write "true", with quotes, as the label\'s value in the pod template. '
        f'For pods without it, write "false", and remove the annotations {PREFIX}/… from the template.'
    )


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
"""Changes of an injected pod of `lab`, and a part of the message; None where the injection restores the member."""


def altered(case: str, injected: Object) -> Object:
    """Return a copy of an injected pod with the change of the case."""
    path, value, _ = ALTERED[case]
    wanted = change(path, value, plain(injected))
    if case == "mount":
        wanted["spec"]["volumes"].append({"name": "x", "emptyDir": {}})
    return wanted
