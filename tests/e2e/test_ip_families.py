"""The operations listener of the Kubernetes manifest in pods with IPv4 alone, IPv6 alone, and both."""

from __future__ import annotations

import errno
import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.system.sockets import bound

from .cloud import ENV, config
from .namespaces import namespace, needs_namespaces
from .processes import PROGRAM, ROOT, EmulatedCloud, environment, run, serve

NOWHERE = EmulatedCloud(None, "http://127.0.0.1:1", "", "https://idaas.test", Path())  # type: ignore[arg-type]

IPV4, IPV6 = "10.9.9.9", "fd00::9"

PODS = {
    "IPv4": ("echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6", [IPV4]),
    "IPv6": ("true", [IPV6]),
    "dual stack": ("true", [IPV4, IPV6]),
    "IPv6 sockets for IPv6 alone": ("echo 1 >/proc/sys/net/ipv6/bindv6only", [IPV4, IPV6]),
}
"""By the kind of pod: a setting of its network, and its addresses."""

PROBE = """
import sys, urllib.request
print(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], timeout=30).status)
"""


def ops_of_the_manifest() -> str:
    """Return `server.ops` of the Kubernetes manifest."""
    objects = yaml.safe_load_all((ROOT / "deploy/kubernetes/sidecar.yaml").read_text())
    found = next(item for item in objects if item["kind"] == "ConfigMap")
    settings: dict[str, Any] = json.loads(found["data"]["config.json"])
    return str(settings["server"]["ops"])


@needs_namespaces
@pytest.mark.parametrize("pod", PODS)
def test_kubelet_reaches_the_ops_listener(pod: str, tmp_path: Path) -> None:
    """With the manifest's `server.ops`, probes arrive at each address of the pod, and `health` works."""
    setting, addresses = PODS[pod]
    add = "; ".join(f"ip address add {address} dev lo" for address in addresses)
    settings = config(NOWHERE, server={"bind": "127.0.0.1:0", "ops": ops_of_the_manifest()})
    with (
        namespace(f"{setting}; {add}") as enter,
        serve(settings, home=tmp_path, env=ENV, program=(*enter, *PROGRAM)) as sidecar,
    ):
        for address in addresses:
            host = f"[{address}]" if ":" in address else address
            probe = (*enter, sys.executable, "-c", PROBE)
            result = run(f"http://{host}:7118/livez", env=environment(tmp_path), program=probe)
            assert (result.code, result.out) == (0, "200\n"), result.err
        health = run(
            "health", "--config", str(sidecar.config_path), env=environment(tmp_path), program=(*enter, *PROGRAM)
        )
        assert health.code == 0, health.err


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_kernel_without_ipv6(number: int) -> None:
    """On a kernel without IPv6, `[::]` is every IPv4 address."""

    def make(family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(number, "no IPv6")
        return socket.socket(family, kind)

    with bound("[::]:0", "server.ops", make=make) as listening:
        assert listening.getsockname()[0] == "0.0.0.0"
        with socket.create_connection(("127.0.0.1", listening.getsockname()[1])):
            pass


def test_both_families_on_one_socket() -> None:
    """`[::]` accepts connections of both families."""
    with bound("[::]:0", "server.ops") as listening:
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, listening.getsockname()[1])):
                pass
