"""Responses are dropped at the first router. Three network namespaces: sidecar, router, and a client behind it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from .processes import DEADLINE, PROGRAM, serve

AVAILABLE = os.geteuid() == 0 and shutil.which("ip")
pytestmark = pytest.mark.skipif(
    not AVAILABLE and not os.environ.get("CI"), reason="skipped: needs root and ip (iproute2)"
)

SIDECAR, ROUTER, CLIENT = (f"idaas-{name}-{os.getpid()}" for name in ("sidecar", "router", "client"))

CONNECT = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])) as client:
        client.sendall(b"GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
        print(client.recv(100).split(b" ")[1].decode())
except TimeoutError:
    print("nothing")
"""


@dataclass(frozen=True)
class Family:
    """The addresses of one IP version: sidecar and router on one link, router and client on another."""

    sidecar: str
    near: str
    far: str
    client: str
    bits: int
    forwarding: str

    def bind(self) -> str:
        """Return the bind address of the sidecar."""
        return f"[{self.sidecar}]:7117" if ":" in self.sidecar else f"{self.sidecar}:7117"


FAMILIES = {
    "IPv4": Family("10.99.1.2", "10.99.1.1", "10.99.2.1", "10.99.2.2", 24, "ipv4/ip_forward"),
    "IPv6": Family("fd99:1::2", "fd99:1::1", "fd99:2::1", "fd99:2::2", 64, "ipv6/conf/all/forwarding"),
}


def ip(*words: str) -> None:
    """Run the ip command."""
    subprocess.run(("ip", *words), check=True, capture_output=True, timeout=DEADLINE)


@pytest.fixture(scope="module")
def namespaces() -> Iterator[None]:
    """Two links with a router between them, for both IP versions."""
    with ExitStack() as stack:
        for name in (SIDECAR, ROUTER, CLIENT):
            ip("netns", "add", name)
            stack.callback(ip, "netns", "delete", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", SIDECAR, "link", "add", "eth0", "type", "veth", "peer", "name", "near", "netns", ROUTER)
        ip("-n", CLIENT, "link", "add", "eth0", "type", "veth", "peer", "name", "far", "netns", ROUTER)
        for family in FAMILIES.values():
            add_address(family, SIDECAR, "eth0", family.sidecar)
            add_address(family, ROUTER, "near", family.near)
            add_address(family, ROUTER, "far", family.far)
            add_address(family, CLIENT, "eth0", family.client)
        for name, link in ((SIDECAR, "eth0"), (ROUTER, "near"), (ROUTER, "far"), (CLIENT, "eth0")):
            ip("-n", name, "link", "set", link, "up")
        for family in FAMILIES.values():
            ip("-n", SIDECAR, "route", "add", "default", "via", family.near)
            ip("-n", CLIENT, "route", "add", "default", "via", family.far)
            ip("netns", "exec", ROUTER, "sh", "-c", f"echo 1 >/proc/sys/net/{family.forwarding}")
        yield


def add_address(family: Family, name: str, link: str, text: str) -> None:
    # nodad: without it, duplicate address detection makes an IPv6 address unusable for a second
    """Add an address to an interface of a namespace."""
    words = ("nodad",) if ":" in text else ()
    ip("-n", name, "address", "add", f"{text}/{family.bits}", "dev", link, *words)


def status(name: str, family: Family, seconds: float) -> str:
    """Return the status that a client in the namespace gets, or `nothing`. `seconds`: how long it waits to connect."""
    command = ("ip", "netns", "exec", name, sys.executable, "-c", CONNECT, family.sidecar, "7117", str(seconds))
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=2 * DEADLINE).stdout.strip()


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize(("access", "behind"), [({}, "nothing"), ({"hopLimit": 64}, "200")], ids=["default", "64"])
def test_client_behind_a_router(family: Family, access: dict[str, int], behind: str, tmp_path: Path) -> None:
    """A client on the same link gets a response; a client one router away gets none unless the limit is raised."""
    program = ("ip", "netns", "exec", SIDECAR, *PROGRAM)
    with serve(config(family, access), home=tmp_path, env={"SECRET": "unused"}, program=program):
        assert status(ROUTER, family, DEADLINE) == "200"
        assert status(CLIENT, family, 2 if behind == "nothing" else DEADLINE) == behind


def config(family: Family, access: dict[str, int]) -> dict[str, object]:
    """Return the configuration of a sidecar without a cloud. It serves `/healthz` all the same."""
    identity = {
        "idaasInstanceId": "idaas_example",
        "clientId": "app_example",
        "issuer": "https://idaas.example.com",
        "tokenEndpoint": "http://127.0.0.1:9/token",
        "scope": "api.example.com|.all",
        "authnConfiguration": {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "SECRET"},
    }
    exchange = {
        "roleArn": "acs:ram::1234567890123456:role/app",
        "oidcProviderArn": "acs:ram::1234567890123456:oidc-provider/idaas",
    }
    return {
        "configVersion": "1.0",
        "profiles": {"default": {"identity": identity, "exchange": exchange}},
        "server": {"bind": family.bind(), "ops": None},
        "access": {"unsafeBind": True, **access},
        "startup": {"gate": "listening"},
        "shutdown": {"drainSeconds": 0},
    }
