"""deploy/kubernetes/sidecar.yaml in the pods of the tests: the manifest for one workload, without the chart."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import yaml

from ..golden_pods import PROVIDER
from .cloud import EMULATOR, VOLUMES
from .conftest import ROOT, kubectl

Object = dict[str, Any]
FILE = ROOT / "deploy" / "kubernetes" / "sidecar.yaml"


def manifest() -> tuple[Object, Object]:
    """Return configuration and pod of the manifest, with the emulated cloud."""
    by_kind = {each["kind"]: each for each in yaml.safe_load_all(FILE.read_text())}
    config = json.loads(by_kind["ConfigMap"]["data"]["config.json"])
    config["profiles"]["default"]["exchange"] |= {
        "oidcProviderArn": PROVIDER,
        "endpoints": ["http://127.0.0.1:7140"],
    }
    spec = by_kind["Deployment"]["spec"]["template"]["spec"]
    spec["initContainers"].insert(0, EMULATOR)
    spec["volumes"] += VOLUMES
    return config, spec


def create(name: str, namespace: str, config: Object, spec: Object) -> float:
    """Create a ConfigMap and then a pod, both with this name; return the time when the pod was requested."""
    metadata = {"name": name, "namespace": namespace}
    data = {"config.json": json.dumps(config)}
    spec = copy.deepcopy(spec)
    (volume,) = [each for each in spec["volumes"] if each["name"] == "idaas-sidecar-config"]
    volume["configMap"]["name"] = name
    kubectl("apply", "-f", "-", given={"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
    requested = time.monotonic()
    kubectl("create", "-f", "-", given={"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    return requested
