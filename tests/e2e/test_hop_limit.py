"""Answers die at the first router: three network namespaces, the sidecar in the first, a router, a client behind it."""

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

from .processes import PROGRAM, serve

CAN = os.geteuid() == 0 and shutil.which("ip")
pytestmark = pytest.mark.skipif(not CAN and not os.environ.get("CI"), reason="skipped: needs root and ip (iproute2)")

SIDECAR, ROUTER, CLIENT = (f"idaas-{name}-{os.getpid()}" for name in ("sidecar", "router", "client"))

CONNECT = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 2) as client:
        client.sendall(b"GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
        print(client.recv(100).split(b" ")[1].decode())
except TimeoutError:
    print("nothing")
"""


@dataclass(frozen=True)
class Family:
    """The addresses of one protocol: sidecar and router on one wire, router and client on the next."""

    sidecar: str
    near: str
    far: str
    client: str
    bits: int
    forwarding: str

    def bind(self) -> str:
        return f"[{self.sidecar}]:7117" if ":" in self.sidecar else f"{self.sidecar}:7117"


FAMILIES = {
    "IPv4": Family("10.99.1.2", "10.99.1.1", "10.99.2.1", "10.99.2.2", 24, "ipv4/ip_forward"),
    "IPv6": Family("fd99:1::2", "fd99:1::1", "fd99:2::1", "fd99:2::2", 64, "ipv6/conf/all/forwarding"),
}


def ip(*words: str) -> None:
    subprocess.run(("ip", *words), check=True, capture_output=True, timeout=20)


@pytest.fixture(scope="module")
def namespaces() -> Iterator[None]:
    """Two wires and a router between them, for both protocols."""
    with ExitStack() as stack:
        for name in (SIDECAR, ROUTER, CLIENT):
            ip("netns", "add", name)
            stack.callback(ip, "netns", "delete", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", SIDECAR, "link", "add", "eth0", "type", "veth", "peer", "name", "near", "netns", ROUTER)
        ip("-n", CLIENT, "link", "add", "eth0", "type", "veth", "peer", "name", "far", "netns", ROUTER)
        for family in FAMILIES.values():
            address(family, SIDECAR, "eth0", family.sidecar)
            address(family, ROUTER, "near", family.near)
            address(family, ROUTER, "far", family.far)
            address(family, CLIENT, "eth0", family.client)
        for name, link in ((SIDECAR, "eth0"), (ROUTER, "near"), (ROUTER, "far"), (CLIENT, "eth0")):
            ip("-n", name, "link", "set", link, "up")
        for family in FAMILIES.values():
            ip("-n", SIDECAR, "route", "add", "default", "via", family.near)
            ip("-n", CLIENT, "route", "add", "default", "via", family.far)
            ip("netns", "exec", ROUTER, "sh", "-c", f"echo 1 >/proc/sys/net/{family.forwarding}")
        yield


def address(family: Family, name: str, link: str, text: str) -> None:
    # nodad: an IPv6 address is otherwise not ours for the second in which its owner is looked for
    words = ("nodad",) if ":" in text else ()
    ip("-n", name, "address", "add", f"{text}/{family.bits}", "dev", link, *words)


def answer(name: str, family: Family) -> str:
    """The status that a client in the namespace gets, or `nothing`."""
    command = ("ip", "netns", "exec", name, sys.executable, "-c", CONNECT, family.sidecar, "7117")
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize(("access", "behind"), [({}, "nothing"), ({"hopLimit": 64}, "200")], ids=["default", "64"])
def test_a_client_behind_a_router(family: Family, access: dict[str, int], behind: str, tmp_path: Path) -> None:
    """Who is on the same wire gets an answer; who is one router away gets none, unless the limit is raised."""
    program = ("ip", "netns", "exec", SIDECAR, *PROGRAM)
    with serve(config(family, access), home=tmp_path, env={"SECRET": "not asked for"}, program=program):
        assert answer(ROUTER, family) == "200"
        assert answer(CLIENT, family) == behind


def config(family: Family, access: dict[str, int]) -> dict[str, object]:
    """A sidecar whose cloud is not there: it answers `/healthz` all the same."""
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
