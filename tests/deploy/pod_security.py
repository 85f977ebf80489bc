"""The Pod Security Standard `restricted` (Kubernetes 1.29 to 1.37), for pod specifications in tests.

Source: kubernetes.io/docs/concepts/security/pod-security-standards. The cluster test asks the API server itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
SECCOMP = {"RuntimeDefault", "Localhost"}


def violations(pod: dict[str, Any]) -> list[str]:
    """Return what `restricted` refuses in a pod specification, one text for each finding."""
    return [*_of_the_pod(pod), *(text for each in _containers(pod) for text in _of_a_container(each, pod))]


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", ()), *pod["containers"], *pod.get("ephemeralContainers", ())]


def _of_the_pod(pod: dict[str, Any]) -> Iterator[str]:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key):
            yield key
    for volume in pod.get("volumes", ()):
        (kind,) = set(volume) - {"name"}
        if kind not in VOLUMES:
            yield f"volume {volume['name']}: {kind}"
    if pod.get("securityContext", {}).get("sysctls"):
        yield "sysctls"


def _of_a_container(container: dict[str, Any], pod: dict[str, Any]) -> Iterator[str]:
    name, own = container["name"], container.get("securityContext", {})
    context = {**pod.get("securityContext", {}), **own}
    if own.get("privileged"):
        yield f"{name}: privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield f"{name}: allowPrivilegeEscalation"
    if context.get("runAsNonRoot") is not True:
        yield f"{name}: runAsNonRoot"
    if context.get("runAsUser") == 0:
        yield f"{name}: runAsUser"
    if context.get("seccompProfile", {}).get("type") not in SECCOMP:
        yield f"{name}: seccompProfile"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", ()) or set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield f"{name}: capabilities"
    probes = [container.get(key, {}).get("httpGet", {}) for key in ("startupProbe", "livenessProbe", "readinessProbe")]
    if any("host" in probe for probe in probes):  # since 1.34
        yield f"{name}: probe host"
    if any("hostPort" in port for port in container.get("ports", ())):
        yield f"{name}: hostPort"
