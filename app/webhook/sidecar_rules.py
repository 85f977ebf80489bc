"""The rules for the container idaas-sidecar and its volumes: an imitation or a changed copy is refused.

They allow what the API server and other admission plugins add to each container: defaults, resources, and the mount
of the Kubernetes API's token.
"""

from __future__ import annotations

from collections.abc import Callable

from .names import (
    CONFIG_FIELD,
    CONFIG_PATH,
    CONFIG_VOLUME,
    IDENTITY_PATH,
    IDENTITY_VOLUME,
    OPS_PORT,
    RUN_PATH,
    RUN_VOLUME,
    SIDECAR_VARIABLES,
    USER,
    VOLUME_PREFIX,
)
from .pod import Object, members, within
from .settings import Settings

CONTAINER = (
    "idaas-sidecar: the container idaas-sidecar differs from the injected one (image, restartPolicy, command, args, "
    "envFrom, workingDir, lifecycle, readinessProbe, stdin or tty). Remove it from the pod; the injection adds it."
)
PROBES = "idaas-sidecar: the probes of the container idaas-sidecar differ from the injected ones."
SECURITY_CONTEXT = "idaas-sidecar: the security context of the container idaas-sidecar differs from the injected one."
VARIABLES = "idaas-sidecar: the variables of the container idaas-sidecar differ from the injected ones."
MOUNTS = "idaas-sidecar: the mounts of the container idaas-sidecar differ from the injected ones."
VOLUMES = "idaas-sidecar: the volumes idaas-sidecar-* differ from the injected ones; remove them from the pod."

ABSENT = ("command", "args", "envFrom", "workingDir", "lifecycle", "volumeDevices", "readinessProbe")
API_ACCESS_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_MOUNTS = {CONFIG_PATH: CONFIG_VOLUME, IDENTITY_PATH: IDENTITY_VOLUME, RUN_PATH: RUN_VOLUME}


def _is_the_container(each: Object, settings: Settings) -> bool:
    return (
        each.get("image") == settings.image
        and each.get("restartPolicy") == "Always"
        and not any(name in each for name in ABSENT)
        and not each.get("stdin")
        and not each.get("tty")
    )


def _has_the_probes(each: Object, _: Settings) -> bool:
    for name, path in (("startupProbe", "/startupz"), ("livenessProbe", "/livez")):
        get = within(each, name, "httpGet") or {}
        if get.get("path") != path or str(get.get("port")) != str(OPS_PORT) or "host" in get:
            return False
    return True


def _has_the_security_context(each: Object, _: Settings) -> bool:
    context = each.get("securityContext") or {}
    return (
        context.get("runAsNonRoot") is True
        and context.get("runAsUser") == USER
        and context.get("runAsGroup") == USER
        and context.get("readOnlyRootFilesystem") is True
        and context.get("allowPrivilegeEscalation") is False
        and not context.get("privileged")
        and within(context, "capabilities", "drop") == ["ALL"]
        and not within(context, "capabilities", "add")
        and within(context, "seccompProfile", "type") == "RuntimeDefault"
    )


def _has_the_variables(each: Object, _: Settings) -> bool:
    variables = each.get("env") or []
    return len(variables) == len(SIDECAR_VARIABLES) and all(
        "value" not in variable
        and variable.get("name") in SIDECAR_VARIABLES
        and within(variable, "valueFrom", "fieldRef", "fieldPath") == SIDECAR_VARIABLES[variable["name"]]
        for variable in variables
    )


def _has_the_mounts(each: Object, _: Settings) -> bool:
    mounts = each.get("volumeMounts") or []
    return len(mounts) >= len(_MOUNTS) and all(_is_a_mount(mount) for mount in mounts)


def _is_a_mount(mount: Object) -> bool:
    """Return whether the mount is one that the injection makes, or the mount of the Kubernetes API's token."""
    if "subPath" in mount or "subPathExpr" in mount:
        return False
    path = mount.get("mountPath")
    if path == API_ACCESS_PATH:
        return mount.get("readOnly") is True
    return path in _MOUNTS and mount.get("name") == _MOUNTS[path]


CONTAINER_RULES: tuple[tuple[str, Callable[[Object, Settings], bool]], ...] = (
    (CONTAINER, _is_the_container),
    (PROBES, _has_the_probes),
    (SECURITY_CONTEXT, _has_the_security_context),
    (VARIABLES, _has_the_variables),
    (MOUNTS, _has_the_mounts),
)


def are_the_volumes(pod: Object, settings: Settings) -> bool:
    """Return whether the volumes idaas-sidecar-* are exactly those of the injection."""
    found = {each["name"]: each for each in members(pod, "volumes") if str(each.get("name")).startswith(VOLUME_PREFIX)}
    if set(found) != {CONFIG_VOLUME, IDENTITY_VOLUME, RUN_VOLUME}:
        return False
    items = within(found[CONFIG_VOLUME], "downwardAPI", "items") or []
    sources = within(found[IDENTITY_VOLUME], "projected", "sources") or []
    tokens = [within(each, "serviceAccountToken") or {} for each in sources]
    return (
        [(each.get("path"), within(each, "fieldRef", "fieldPath")) for each in items] == [("config.json", CONFIG_FIELD)]
        and [(each.get("path"), each.get("audience")) for each in tokens] == [("token", settings.audience)]
        and within(found[RUN_VOLUME], "emptyDir", "medium") == "Memory"
    )
