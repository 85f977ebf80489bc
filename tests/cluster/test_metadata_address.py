"""The ECS metadata address in a pod: the opt-in of docs/kubernetes.md, and what it costs.

K8S_WORK=... pytest -m cluster -s tests/cluster/test_metadata_address.py    prints the seconds of the page
"""

from __future__ import annotations

import copy
import json
import statistics
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from ..golden_pods import pod
from .cloud import delete, install_world, running
from .conftest import kubectl, refusal, until
from .manifest import create, manifest
from .test_lifecycle import block

Object = dict[str, Any]
NAMESPACE = "lab"
"""The namespace of the tests without Pod Security: `baseline` refuses NET_ADMIN."""

ADD = """
import socket, struct
address = socket.inet_aton("100.100.100.200")
body = struct.pack("=BBBBi", 2, 32, 0, 254, 1) + b"".join(struct.pack("=HH", 8, kind) + address for kind in (1, 2))
netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
netlink.send(struct.pack("=IHHII", 16 + len(body), 20, 0x605, 1, 0) + body)
assert struct.unpack("=i", netlink.recv(64)[16:20]) == (0,)
"""
"""What `ip address add 100.100.100.200/32 dev lo` does: the test's images have no such program."""

ASK = """
from urllib.request import Request, urlopen
base = "http://100.100.100.200/latest/"
wanted = Request(base + "api/token", method="PUT", headers={"X-aliyun-ecs-metadata-token-ttl-seconds": "60"})
token = urlopen(wanted).read().decode()
roles = Request(base + "meta-data/ram/security-credentials/", headers={"X-aliyun-ecs-metadata-token": token})
print(urlopen(roles).read().decode())
"""


def start(name: str, config: Object, spec: Object) -> float:
    """Start a pod, and return the seconds until it is ready."""
    began = create(name, NAMESPACE, config, spec)
    until(lambda: running(name, NAMESPACE))
    return time.monotonic() - began


def opted_in(config: Object, spec: Object) -> tuple[Object, Object]:
    """Return configuration and pod with what the page adds."""
    config, spec, added = copy.deepcopy(config), copy.deepcopy(spec), yaml.safe_load(block("metadata-pod"))
    for key, value in json.loads(block("metadata-config")).items():
        config[key] |= value
    (address,) = added["initContainers"]
    assert address["command"] == ["ip", "address", "add", "100.100.100.200/32", "dev", "lo"]
    spec["initContainers"].insert(
        0, {**address, "image": "your-app:1.0", "command": ["/opt/app/bin/python", "-c", ADD]}
    )
    spec["securityContext"] |= added["securityContext"]
    return config, spec


@pytest.fixture(scope="module", autouse=True)
def account() -> Iterator[None]:
    """Make the service account of the manifest, which its role trusts."""
    install_world(NAMESPACE)
    kubectl("create", "serviceaccount", "your-app", "-n", NAMESPACE)
    yield
    kubectl("delete", "serviceaccount", "your-app", "-n", NAMESPACE)


def test_the_application_asks_the_metadata_address() -> None:
    """With the opt-in the application gets its role from 100.100.100.200; the start takes longer by one container."""
    seconds: dict[str, list[float]] = {"without": [], "with": []}
    for number in range(5):
        for which, given in (("without", manifest()), ("with", opted_in(*manifest()))):
            name = f"metadata-{number}-{which}"
            seconds[which].append(start(name, *given))
            if which == "with" and not number:
                inside = ("exec", name, "-n", NAMESPACE, "-c", "your-app", "--", "/opt/app/bin/python", "-c", ASK)
                assert kubectl(*inside).stdout.split() == ["default"]
            delete(name, namespace=NAMESPACE)
    print({which: [round(each, 1) for each in found] for which, found in seconds.items()})
    print({which: round(statistics.median(found), 1) for which, found in seconds.items()})


def test_an_injected_pod_cannot_have_it() -> None:
    """The injected sidecar is the first init container, so the address comes too late; `restricted` refuses it, too."""
    (address,) = yaml.safe_load(block("metadata-pod"))["initContainers"]
    made = kubectl(
        "create", "--dry-run=server", "-o", "json", "-f", "-", given=pod(namespace=NAMESPACE, initContainers=[address])
    ).stdout

    spec = {
        "securityContext": {},
        "initContainers": [address],
        "containers": [{"name": "app", "image": "your-app:1.0"}],
    }
    metadata = {"name": "metadata", "namespace": "shop"}
    assert "violates PodSecurity" in refusal({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    names = [each["name"] for each in json.loads(made)["spec"]["initContainers"]]
    assert names == ["idaas-sidecar", "metadata-address"]
