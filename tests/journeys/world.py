"""
The reader's world: what the administrators of the pages have created, and where it is on the test's machine.

`Places` is the only difference between a page and its test. Every text of a page passes through the same table: host
names become the emulator's address, ports become free ones, and system directories lie below a directory of the test.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from app.emulator import Client, ManagedRole, ResourceServer, Secret, World
from app.emulator.world.world import PAM_AUDIENCE

from ..e2e.processes import ROOT, EmulatedCloud, environment
from ..ports import unused_port

OBTAIN = "cloud_account_role:obtain_access_credential"
DIRECTORIES = (
    "/etc/idaas-sidecar",
    "/etc/systemd/system",
    "/opt/idaas-sidecar",
    "/run/credentials/idaas-sidecar.service",
    "/run/idaas-sidecar",
    "/var/run/secrets/idaas-sidecar",
)
CA_FILE = "run/ca.pem"
"""The CA of the emulator, below the directory of the test."""

PROGRAM = f"PYTHONSAFEPATH=1 PYTHONPATH={ROOT} exec {shlex.quote(sys.executable)} -m"
"""The words of a shell that run a module of this checkout."""

STAND_INS = ("aliyun", "kubectl", "sudo", "systemctl", "useradd")
"""The commands that `stand_ins` plays."""


def world(issuer: str) -> World:
    """Return the cloud of the pages: clients in IDaaS and Okta, and a RAM without providers and roles."""
    idaas = Client(
        grants={"api.example.com": ("read",), PAM_AUDIENCE: (OBTAIN,)},
        methods=("CLIENT_SECRET_POST", "CLIENT_SECRET_BASIC"),
        secrets=(Secret("your-client-secret"),),
    )
    okta = Client(
        grants={"api://default": ("sts",)},
        methods=("CLIENT_SECRET_BASIC",),
        secrets=(Secret("your-client-secret"),),
        server="okta",
    )
    return replace(
        World.default(issuer=issuer),
        instance_id="idaas_example",
        clients={"app_example": idaas, "0oa1example": okta},
        resource_servers={"api.example.com": ResourceServer(("read",)), PAM_AUDIENCE: ResourceServer((OBTAIN,))},
        managed_roles={"acs:ram::1234567890123456:role/managed": ManagedRole(("app_example",))},
        oidc_providers={},
        roles={},
    )


@dataclass(frozen=True, slots=True)
class Places:
    """The table from the words of a page to those of the test's machine."""

    table: Mapping[str, str]

    @classmethod
    def of(cls, cloud: EmulatedCloud, root: Path) -> Places:
        """Return the table for the emulator at `cloud` and system directories below `root`."""
        tls = cloud.tls_url
        hosts = {
            "https://example.aliyunidaas.com": tls,
            "https://example.okta.com": tls,
            "https://oidc.example.com/prod": f"{tls}/workload",
            "https://eiam-developerapi.cn-hangzhou.aliyuncs.com": tls,
            # A region selects the host of STS.
            '"regionId": "cn-hangzhou"': f'"endpoints": ["{tls}"]',
        }
        first = unused_port(2)
        ports = {"7117": str(first), "7118": str(first + 1)}
        return cls({**hosts, **ports, **{path: f"{root}{path}" for path in DIRECTORIES}})

    def here(self, text: str) -> str:
        """Return a text of a page with the words of this machine."""
        pattern = "|".join(map(re.escape, sorted(self.table, key=len, reverse=True)))
        return re.sub(pattern, lambda found: self.table[found[0]], text)


def reader(cloud: EmulatedCloud, places: Places, root: Path) -> dict[str, str]:
    """Install the commands of the pages below `root`, and return the environment of the reader's terminals."""
    commands = root / "bin"
    commands.mkdir()
    for name in ("opt", "opt/idaas-sidecar", "opt/idaas-sidecar/bin", "etc", "run"):
        (root / name).mkdir()
        (root / name).chmod(0o755)  # the service runs as another user
    shutil.copy(cloud.ca_file, root / CA_FILE)
    config = root / "etc/idaas-sidecar/config.json"
    default = f'[ ! -e {config} ] || export IDAAS_SIDECAR_CONFIG="${{IDAAS_SIDECAR_CONFIG:-{config}}}"'
    for path in (commands, root / "opt/idaas-sidecar/bin"):
        _script(path / "idaas-sidecar", f'{default}\n{PROGRAM} app "$@"')
    for name in STAND_INS:
        _script(commands / name, f'{PROGRAM} tests.journeys.stand_ins {name} "$@"')
    env = environment(
        root,
        SSL_CERT_FILE=str(root / CA_FILE),
        JOURNEY_CLOUD=cloud.url,
        JOURNEY_ROOT=str(root),
        JOURNEY_PLACES=json.dumps(dict(places.table)),
    )
    return {**env, "PATH": f"{commands}:{os.environ['PATH']}"}


def program(root: Path) -> dict[str, str]:
    """Install the program alone below `root`, and return the variable with the way to it."""
    commands = root / "bin"
    commands.mkdir()
    _script(commands / "idaas-sidecar", f'{PROGRAM} app "$@"')
    return {"PATH": f"{commands}:{os.environ['PATH']}"}


def _script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
