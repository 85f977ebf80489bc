"""The listeners in pods with IPv4 alone, IPv6 alone, and both: addresses of the manifest, and of every loopback."""

from __future__ import annotations

import errno
import json
import re
import shlex
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.system.sockets import bound

from .cloud import ENV, config
from .namespaces import namespace, needs_namespaces
from .processes import PROGRAM, ROOT, CommandResult, EmulatedCloud, environment, run, serve

NOWHERE = EmulatedCloud(None, "http://127.0.0.1:1", "", "https://idaas.test", Path())  # type: ignore[arg-type]

IPV4, IPV6 = "10.9.9.9", "fd00::9"

NO_IPV4 = "ip address del 127.0.0.1/8 dev lo"

PODS = {
    "IPv4": ("echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6", [IPV4]),
    "IPv6": ("true", [IPV6]),
    "dual stack": ("true", [IPV4, IPV6]),
    "no IPv4 on loopback": (NO_IPV4, [IPV6]),
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
    bind = "[::1]:0" if setting == NO_IPV4 else "127.0.0.1:0"
    settings = config(NOWHERE, server={"bind": bind, "ops": ops_of_the_manifest()})
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


def test_addresses_of_all_manifests() -> None:
    """Each address to listen on in a manifest, an example or a guide is loopback, or `[::]`, which is both families."""
    places = [path for name in ("deploy", "docs/start") for path in (ROOT / name).rglob("*") if path.is_file()]
    texts = [*places, ROOT / "app/webhook/settings.py", ROOT / "app/cli/config.example.json", ROOT / "README.md"]
    pattern = re.compile(rb"""["'](?:bind|ops)["'\\]*(?::|,)? ?["'\\]*([][0-9A-Fa-f:.]+:[0-9]+)""")
    found = {match for path in texts for match in pattern.findall(path.read_bytes())}

    assert found == {b"127.0.0.1:7117", b"127.0.0.1:7118", b"[::]:7118"}


LOOPBACKS = {
    "127.0.0.1:7117": ("true", "http://127.0.0.1:7117"),
    "127.8.9.10:7117": ("true", "http://127.8.9.10:7117"),
    "[::1]:7117": (NO_IPV4, "http://[::1]:7117"),
    "[::ffff:127.0.0.1]:7117": ("true", "http://[::ffff:127.0.0.1]:7117"),
    "[::]:7117": (PODS["IPv4"][0], "http://127.0.0.1:7117"),
    "0.0.0.0:7117": ("true", "http://127.0.0.1:7117"),
}
"""By `server.bind`: a setting of the network, and the base of the URI that `env` prints."""


@needs_namespaces
@pytest.mark.parametrize("bind", LOOPBACKS)
def test_uri_of_each_loopback(bind: str, tmp_path: Path) -> None:
    """The URI that `env` prints is served, and `health` and `status` work, on each address of loopback."""
    setting, base = LOOPBACKS[bind]
    settings = config(NOWHERE, server={"bind": bind, "ops": bind.replace("7117", "7118")})
    settings |= {"access": {"unsafeBind": True}, "startup": {"gate": "listening"}}
    with (
        namespace(setting) as enter,
        serve(settings, home=tmp_path, env=ENV, program=(*enter, *PROGRAM)) as sidecar,
    ):
        sidecar.process.event("refresh_failed")

        def command(name: str, *arguments: str) -> CommandResult:
            flags = ("--config", str(sidecar.config_path), *arguments)
            return run(name, *flags, env=environment(tmp_path, **ENV), program=(*enter, *PROGRAM))

        printed = command("env").out
        uri = next(shlex.split(line)[1] for line in printed.splitlines()).partition("=")[2]
        probe = (*enter, sys.executable, "-c", PROBE)
        served = run(uri, env=environment(tmp_path), program=probe)

        assert uri == f"{base}/credentials"
        assert "HTTP Error 503" in served.err  # there is no cloud; a foreign Host would be 403
        assert command("health").code == 0
        assert json.loads(command("status", "--json").out)["listeners"]["credentials"].startswith("http://")
        examined = command("doctor", "--url", uri).out
        assert re.search(f"ok +caller default: .*; {re.escape(base)}/", examined), examined


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
