"""The injected container and its volumes, the same as in deploy/kubernetes/sidecar.yaml and in the chart's policy."""

from __future__ import annotations

from .names import (
    CONFIG_FIELD,
    CONFIG_PATH,
    CONFIG_VOLUME,
    IDENTITY_PATH,
    IDENTITY_VOLUME,
    OPS_PORT,
    RUN_PATH,
    RUN_VOLUME,
    SIDECAR,
    SIDECAR_VARIABLES,
    USER,
)
from .pod import Object
from .settings import Settings


def container(settings: Settings) -> Object:
    """Return the sidecar: a native sidecar, which is an init container that is always restarted."""
    return {
        "name": SIDECAR,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "restartPolicy": "Always",
        "env": [field_variable(name, path) for name, path in SIDECAR_VARIABLES.items()],
        "ports": [{"name": "idaas-ops", "containerPort": OPS_PORT}],
        "startupProbe": {
            "httpGet": {"path": "/startupz", "port": OPS_PORT},
            "periodSeconds": 1,
            "timeoutSeconds": 2,
            "failureThreshold": 7200,
        },
        "livenessProbe": {
            "httpGet": {"path": "/livez", "port": OPS_PORT},
            "periodSeconds": 10,
            "timeoutSeconds": 2,
            "failureThreshold": 3,
            "terminationGracePeriodSeconds": 5,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": {"requests": settings.resources.requests, "limits": settings.resources.limits},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": CONFIG_VOLUME, "mountPath": CONFIG_PATH, "readOnly": True},
            {"name": IDENTITY_VOLUME, "mountPath": IDENTITY_PATH, "readOnly": True},
            {"name": RUN_VOLUME, "mountPath": RUN_PATH},
        ],
    }


def volumes(settings: Settings) -> list[Object]:
    """Return the volumes: configuration from the annotation, projected token, and memory for cache and admin socket."""
    token = {"path": "token", "audience": settings.audience, "expirationSeconds": settings.expiration_seconds}
    return [
        {
            "name": CONFIG_VOLUME,
            "downwardAPI": {"items": [{"path": "config.json", "fieldRef": {"fieldPath": CONFIG_FIELD}}]},
        },
        {"name": IDENTITY_VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}},
        {"name": RUN_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": "4Mi"}},
    ]


def field_variable(name: str, path: str) -> Object:
    """Return a variable whose value is a field of the pod."""
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
