"""The defaults that the API server gives the members of a pod, for tests without a cluster."""

from __future__ import annotations

import copy
from typing import Any

Object = dict[str, Any]

TOLERATIONS = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for key in ("not-ready", "unreachable")
]


def defaulted(pod: Object) -> Object:
    """Return the pod as the API server stores it, as far as the golden pods have the members."""
    made = copy.deepcopy(pod)
    spec = made["spec"]
    for name, value in {
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "preemptionPolicy": "PreemptLowerPriority",
        "priority": 0,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "serviceAccount": spec["serviceAccountName"],
        "terminationGracePeriodSeconds": 30,
        "tolerations": TOLERATIONS,
    }.items():
        spec.setdefault(name, value)
    for container in [*spec.get("initContainers", ()), *spec["containers"]]:
        _container(container)
    for volume in spec.setdefault("volumes", []):
        _volume(volume)
    return made


def _container(container: Object) -> None:
    for name, value in {
        "imagePullPolicy": "IfNotPresent",
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "volumeMounts": [],
    }.items():
        container.setdefault(name, value)
    for variable in container.get("env", ()):
        if "valueFrom" in variable:
            variable["valueFrom"]["fieldRef"].setdefault("apiVersion", "v1")
    for port in container.get("ports", ()):
        port.setdefault("protocol", "TCP")
    for probe in (container[name] for name in ("startupProbe", "livenessProbe") if name in container):
        probe.setdefault("successThreshold", 1)
        probe["httpGet"].setdefault("scheme", "HTTP")


def _volume(volume: Object) -> None:
    for kind in ("downwardAPI", "projected"):
        if kind in volume:
            volume[kind].setdefault("defaultMode", 420)
    for item in volume.get("downwardAPI", {}).get("items", ()):
        item["fieldRef"].setdefault("apiVersion", "v1")
