"""The emulated cloud in the pods of the tests, and what the tests read from running pods."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import yaml

from app import __version__

from ..golden_pods import NAMESPACES, PROVIDER, RESTRICTED, plain
from .conftest import WORK, dry_run, get, kubectl

Object = dict[str, Any]
EMULATOR: Object = {
    "name": "emulator",
    "image": f"idaas-credential-sidecar:{__version__}-emulator",
    "restartPolicy": "Always",
    "args": ["emulator", "--json", "--port", "7140", "--world", "/etc/emulator/world.json"],
    "securityContext": RESTRICTED,
    "volumeMounts": [{"name": "world", "mountPath": "/etc/emulator"}, {"name": "scratch", "mountPath": "/tmp"}],
}
VOLUMES: list[Object] = [{"name": "world", "configMap": {"name": "world"}}, {"name": "scratch", "emptyDir": {}}]


TRUSTED = {
    "orders": "shop:orders",
    "shared": "shop:orders",
    "ledger": "bank:ledger",
    "doctor": "idaas-sidecar:idaas-sidecar-doctor",
    "your-app": "lab:your-app",
}
"""The service account that each role trusts."""


def world() -> Object:
    """Return the emulated cloud: it verifies tokens of this cluster, and each role trusts one service account."""
    issuer = json.loads(kubectl("get", "--raw", "/.well-known/openid-configuration").stdout)["issuer"]
    roles = {}
    for role, subject in TRUSTED.items():
        wanted = {
            "oidc:iss": [issuer],
            "oidc:aud": ["sts.aliyuncs.com"],
            "oidc:sub": [f"system:serviceaccount:{subject}"],
        }
        statement = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Federated": PROVIDER},
            "Condition": {"StringEquals": wanted},
        }
        trust = {"Version": "1", "Statement": [statement]}
        roles[f"acs:ram::1234567890123456:role/{role}"] = {"trustPolicy": trust, "maxSessionDuration": 3600}
    jwks = json.loads(kubectl("get", "--raw", "/openid/v1/jwks").stdout)
    return {
        "clients": {},
        "resourceServers": {"api.demo.example": {"scopes": ["read"]}},
        "oidcProviders": {PROVIDER: {"issuerUrl": issuer, "clientIds": ["sts.aliyuncs.com"], "jwks": jwks}},
        "roles": roles,
    }


def install_world(*namespaces: str) -> None:
    """Put the emulated cloud's world into these namespaces, or into each of the teams."""
    for namespace in namespaces or NAMESPACES:
        metadata = {"name": "world", "namespace": namespace}
        data = {"world.json": json.dumps(world())}
        given = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        kubectl("apply", "-f", "-", given=given)


def with_cloud(wanted: Object) -> Object:
    """Return what the injection makes of a pod, with the emulator in front of the sidecar."""
    injected = plain(dry_run(wanted))
    injected["spec"]["initContainers"].insert(0, EMULATOR)
    injected["spec"]["volumes"] += VOLUMES
    return injected


EMULATOR_POLICY = """
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: { name: test-emulator }
spec:
  failurePolicy: Fail
  reinvocationPolicy: IfNeeded
  matchConstraints:
    objectSelector: { matchLabels: { app: LABEL } }
    resourceRules:
      - { apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods] }
  mutations: # the API server has no order of policies: this one waits for the injection, and is invoked again after it
    - patchType: JSONPatch
      jsonPatch:
        expression: >-
          object.spec.?initContainers.orValue([]).exists(c, c.name == "idaas-sidecar")
          && !object.spec.?initContainers.orValue([]).exists(c, c.name == "emulator")
          ? [JSONPatch{op: "add", path: "/spec/initContainers/0", value: Object.spec.initContainers{
          name: "emulator", image: "IMAGE", restartPolicy: "Always", args: ARGS,
          securityContext: Object.spec.initContainers.securityContext{allowPrivilegeEscalation: false,
          capabilities: Object.spec.initContainers.securityContext.capabilities{drop: ["ALL"]}},
          volumeMounts: [Object.spec.initContainers.volumeMounts{name: "world", mountPath: "/etc/emulator"},
          Object.spec.initContainers.volumeMounts{name: "scratch", mountPath: "/tmp"}]}}] : []
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: { name: test-emulator }
spec: { policyName: test-emulator }
"""
"""The chart injects the pods with the label; this policy of the test adds the emulated cloud to them."""


def emulator_policy(app: str) -> list[Object]:
    """Return the objects of EMULATOR_POLICY for the pods with the label `app`. The pods have VOLUMES."""
    text = EMULATOR_POLICY.replace("IMAGE", EMULATOR["image"]).replace("ARGS", json.dumps(EMULATOR["args"]))
    text = text.replace("LABEL", app)
    return list(yaml.safe_load_all(text))


def container(name: str, namespace: str, of: str = "idaas-sidecar") -> Object:
    """Return the status of a container of a pod."""
    status = get("pod", name, "-n", namespace)["status"]
    found = [each for each in [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]]
    return next((each for each in found if each["name"] == of), {})


def running(name: str, namespace: str) -> bool:
    """Whether every container of the pod is ready."""
    conditions = get("pod", name, "-n", namespace)["status"].get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def calls(name: str, namespace: str, of: str = "app") -> list[Object]:
    """Return what the application reported: one line for each request of the SDK."""
    log = kubectl("logs", name, "-n", namespace, "-c", of).stdout
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]  # the SDK prints text
    return [line for line in lines if "ok" in line]


def node(*command: str) -> str:
    """Run a command in the node's namespaces and return its output."""
    done = subprocess.run([WORK / "in", *command], check=True, capture_output=True, text=True, timeout=60)
    return done.stdout


def processes(name: str, namespace: str) -> list[str]:
    """Return the process IDs of a pod's containers, as the node sees them."""
    uid = get("pod", name, "-n", namespace)["metadata"]["uid"]
    ours = f"grep -qs '{uid}\\|{uid.replace('-', '_')}' $p/cgroup"
    return node("sh", "-c", f"for p in /proc/[0-9]*; do {ours} && echo ${{p#/proc/}}; done; true").split()


def sidecar_process(name: str, namespace: str) -> str:
    """Return the process ID of a pod's sidecar, as the node sees it."""
    sidecars = set(node("sh", "-c", "pgrep -f 'idaas-sidecar serve'; true").split())
    (found,) = sidecars.intersection(processes(name, namespace))
    return found


def signal(name: str, namespace: str, which: str) -> None:
    """Send a signal to the sidecar of a pod, from the node: a pid namespace protects its pid 1 from itself."""
    node("kill", f"-{which}", sidecar_process(name, namespace))


def kill(name: str, namespace: str) -> None:
    """Send SIGKILL to the sidecar of a pod."""
    signal(name, namespace, "KILL")


class Egress:
    """The way from a pod to the emulated cloud, which is a port of the pod's loopback interface."""

    def __init__(self, name: str, namespace: str) -> None:
        self._network = ("nsenter", "--target", processes(name, namespace)[0], "--net", "iptables", "--wait")
        self._rule: tuple[str, ...] = ()

    def close(self, *target: str) -> None:
        """Drop the packets to the cloud, or treat them with another target of iptables."""
        self._rule = ("OUTPUT", "-o", "lo", "-p", "tcp", "--dport", "7140", "-j", *(target or ("DROP",)))
        node(*self._network, "--insert", *self._rule)

    def open(self) -> None:
        """Let the packets pass again."""
        node(*self._network, "--delete", *self._rule)


GATE: Object = {
    "name": "gate",
    "image": "your-app:1.0",
    "command": [
        "/opt/app/bin/python",
        "-c",
        "import os, time\nwhile not os.path.exists('/tmp/gate-is-open'): time.sleep(0.1)",
    ],
    "securityContext": RESTRICTED,
    "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
}
"""An init container that ends when `open_gate` is called."""


def open_gate(name: str, namespace: str) -> None:
    """End the init container GATE of a pod."""
    script = "open('/tmp/gate-is-open', 'w')"
    # The command may end with its container, and has succeeded then.
    kubectl("exec", name, "-n", namespace, "-c", "gate", "--", "/opt/app/bin/python", "-c", script, check=False)


def in_state(state: str, name: str, namespace: str, of: str = "idaas-sidecar") -> bool:
    """Whether a container is `running`, `waiting` or `terminated`."""
    return state in container(name, namespace, of).get("state", {})


def delete(*names: str, namespace: str) -> None:
    """Delete pods at once."""
    kubectl("delete", "pod", *names, "-n", namespace, "--grace-period=0", "--force", "--ignore-not-found")
