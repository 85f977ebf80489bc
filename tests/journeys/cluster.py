"""
`kubectl` against a cluster of one node whose pods are processes of the test.

The issuer of the cluster is the second issuer of the emulator. A mount path lies below the directory of the test, by
the table of the page. No image is pulled: the sidecar's container runs this program, and other containers run nothing
until `exec`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from ..e2e.processes import DEADLINE

ROOT = Path(os.environ.get("JOURNEY_ROOT", "/nonexistent"))
RAW = {"/.well-known/openid-configuration": "/workload/.well-known/openid-configuration"}
RAW |= {"/openid/v1/jwks": "/workload/jwks"}
PROGRAM_IMAGE = "idaas-credential-sidecar"


def run(arguments: list[str]) -> int:
    """Run one command. Options that the page does not use are errors."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(prog="kubectl", allow_abbrev=False)
    parser.add_argument("verb", choices=("get", "create", "apply", "wait", "exec"))
    parser.add_argument("names", nargs="*")
    parser.add_argument("-n", dest="namespace", default="default")
    parser.add_argument("-c", dest="container")
    parser.add_argument("-f", dest="file")
    parser.add_argument("--raw")
    parser.add_argument("--for", dest="condition", choices=["condition=Ready"])
    parser.add_argument("--timeout")
    given = parser.parse_intermixed_args(arguments[:split])
    match given.verb, given.names:
        case "get", []:
            print(_fetch(RAW[given.raw]))
        case "create", ["namespace", name]:
            (ROOT / "cluster" / name).mkdir(parents=True)
        case "apply", []:
            _apply([*yaml.safe_load_all(Path(given.file).read_text())])
        case "wait", [name]:
            _wait(_pod(given.namespace, name.removeprefix("pod/")))
        case "exec", [name]:
            return _exec(_pod(given.namespace, name), given.container, arguments[split + 1 :])
        case _:
            parser.error(f"the pages use no such command: {arguments}")
    return 0


def _fetch(path: str, body: bytes | None = None) -> str:
    with urllib.request.urlopen(f"{os.environ['JOURNEY_CLOUD']}{path}", body, timeout=DEADLINE) as response:
        return str(response.read().decode())


def _apply(objects: list[dict[str, Any]]) -> None:
    """Store the objects in their namespaces, which exist, and start the pods."""
    for found in objects:
        name, namespace = found["metadata"]["name"], found["metadata"]["namespace"]
        path = ROOT / "cluster" / namespace / f"{found['kind']}.{name}.json"
        path.write_text(json.dumps(found))
        print(f"{found['kind'].lower()}/{name} created")
    for found in objects:
        if found["kind"] == "Pod":
            _start(found)


def _object(namespace: str, kind: str, name: str) -> dict[str, Any]:
    """Return a stored object. Raises FileNotFoundError, as a pod that names a missing object does not start."""
    found: dict[str, Any] = json.loads((ROOT / "cluster" / namespace / f"{kind}.{name}.json").read_text())
    return found


def _pod(namespace: str, name: str) -> dict[str, Any]:
    return _object(namespace, "Pod", name)


def _start(pod: dict[str, Any]) -> None:
    (sidecar,) = pod["spec"]["initContainers"]
    assert sidecar["image"].partition(":")[0] == PROGRAM_IMAGE
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    for mount in sidecar["volumeMounts"]:
        directory = Path(mount["mountPath"])
        directory.mkdir(parents=True)
        for name, content in _files(pod, volumes[mount["name"]]).items():
            (directory / name).write_text(content)
    log = (ROOT / "cluster" / "log").open("w")
    subprocess.Popen(["idaas-sidecar", "serve"], env=_environment(sidecar), stdout=log, stderr=log)


def _files(pod: dict[str, Any], volume: dict[str, Any]) -> dict[str, str]:
    """Return the files of a volume: those of a config map, or a token of the pod's service account."""
    namespace = pod["metadata"]["namespace"]
    if "configMap" in volume:
        data: dict[str, str] = _object(namespace, "ConfigMap", volume["configMap"]["name"])["data"]
        return data
    (source,) = volume["projected"]["sources"]
    token, account = source["serviceAccountToken"], pod["spec"]["serviceAccountName"]
    assert _object(namespace, "ServiceAccount", account)
    seconds, now = token["expirationSeconds"], int(time.time())
    claims = {
        "sub": f"system:serviceaccount:{namespace}:{account}",
        "aud": [token["audience"]],
        "iat": now,
        "exp": now + seconds,
        "kubernetes.io": {"namespace": namespace, "pod": {"name": pod["metadata"]["name"]}},
    }
    return {token["path"]: json.loads(_fetch("/_emulator/token", json.dumps(claims).encode()))["token"]}


def _environment(container: dict[str, Any]) -> dict[str, str]:
    """Return the variables of a container: those of its image, and those of the manifest."""
    image = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "SSL_CERT_FILE")}
    return {**image, **{each["name"]: each["value"] for each in container.get("env", ())}}


def _wait(pod: dict[str, Any]) -> None:
    """Wait until the startup probe of the sidecar succeeds; only then kubelet starts the application."""
    (sidecar,) = pod["spec"]["initContainers"]
    probe, (port,) = sidecar["startupProbe"]["httpGet"], sidecar["ports"]
    assert probe["port"] == port["name"]
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port['containerPort']}{probe['path']}", timeout=DEADLINE)
        except OSError:
            time.sleep(0.1)
        else:
            print(f"pod/{pod['metadata']['name']} condition met")
            return
    sys.exit((ROOT / "cluster" / "log").read_text())


def _exec(pod: dict[str, Any], name: str, command: list[str]) -> int:
    containers = [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]
    (container,) = [each for each in containers if each["name"] == name]
    return subprocess.run(command, env=_environment(container)).returncode
