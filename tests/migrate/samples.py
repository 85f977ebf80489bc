"""Files of a namespace, a host and a compose project, with canary keys. No secret of them may be in a report."""

from __future__ import annotations

import base64
import json
from typing import Any

KEY, OTHER_KEY, HOST_KEY = "LTAI5tCanaryOrdersKey001", "LTAI5tCanaryReports00002", "LTAI4GCanaryHostKey00003"
CUT, OTHER_CUT, HOST_CUT = "LTAI…y001#572a26", "LTAI…0002#19763a", "LTAI…0003#e9320e"
SECRET = "canarySecretOfThirtyCharacters"
"""As long as the secret of an AccessKey."""

FOREVER = 10**6


def encoded(**texts: str) -> dict[str, str]:
    """Return the data of a Secret."""
    return {name.replace("__", "."): base64.b64encode(text.encode()).decode() for name, text in texts.items()}


def secret(name: str, **texts: str) -> dict[str, Any]:
    """Return a Secret of the namespace `shop`."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "shop"},
        "data": encoded(**texts),
    }


def deployment(name: str, *env: dict[str, Any], kind: str = "Deployment", **spec: Any) -> dict[str, Any]:
    """Return a Deployment of the namespace `shop` with one container."""
    env_from = spec.pop("env_from", [])
    containers = [{"name": "app", "image": "shop:1", "env": list(env), "envFrom": env_from}]
    containers[0]["volumeMounts"] = spec.pop("mounts", [])
    containers += spec.pop("more", [])
    labels = spec.pop("labels", {})
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers, **spec}}
    found: dict[str, Any] = {"template": template}
    if kind == "CronJob":
        found = {"jobTemplate": {"spec": {"template": template}}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop"},
        "spec": found,
    }


def value(name: str, text: str) -> dict[str, Any]:
    """Return a variable with a value."""
    return {"name": name, "value": text}


def from_secret(name: str, secret_name: str, key: str) -> dict[str, Any]:
    """Return a variable from a Secret."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret_name, "key": key}}}


def listed(*items: dict[str, Any]) -> bytes:
    """Return the output of `kubectl get -o json`."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(items)}).encode()


SIDECAR = {"name": "idaas-sidecar", "image": "registry.example/idaas-credential-sidecar:0.2.0"}
"""The container of the sidecar in a pod."""

AK_VARIABLES = (
    from_secret("ALIBABA_CLOUD_ACCESS_KEY_ID", "ak", "id"),
    from_secret("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ak", "secret"),
)
URI_VARIABLE = value("ALIBABA_CLOUD_CREDENTIALS_URI", "http://127.0.0.1:7117/credentials")


def served(session: str, *times: str, profile: str = "default") -> bytes:
    """Return lines of an audit log."""
    lines = (
        {
            "timestamp": time,
            "level": "info",
            "event": "credentials_served",
            "message": "a caller received this session for the first time",
            "listener": "credentials",
            "profile": profile,
            "role": "acs:ram::1234567890123456:role/orders",
            "session": session,
            "access_key_id": "STS.NTcanary",
            "uid": 1000,
        }
        for time in times
    )
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines).encode()
