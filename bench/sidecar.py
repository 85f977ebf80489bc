"""The product as users run it: the installed command, an emulated cloud beside it, a configuration file between."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client import free_port
from processes import LOAD_CORE, started

ACCOUNT = "acs:ram::1234567890123456"
SECRET_VARIABLE = "BENCH_CLIENT_SECRET"


def command() -> list[str]:
    """The installed `idaas-sidecar` beside this interpreter, else the package as it lies in the repository."""
    installed = Path(sys.executable).with_name("idaas-sidecar")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "app"]


def extras() -> list[str]:
    """Packages that no user has and that httpx imports where they are there: they cost memory and time."""
    return [name for name in ("rich", "pygments", "pytest") if importlib.util.find_spec(name)]


@dataclass(frozen=True)
class Cloud:
    """The emulator's answer to `--json`."""

    url: str
    tls_url: str
    issuer: str
    ca_file: str


@dataclass(frozen=True)
class Sidecar:
    """A running `serve`."""

    pid: int
    port: int
    ops: int


@contextlib.contextmanager
def emulated_cloud() -> Iterator[Cloud]:
    """The emulator in a process of its own."""
    with started([*command(), "emulator", "--port", "0", "--json"], core=LOAD_CORE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield Cloud(told["emulatorUrl"], told["tlsUrl"], told["issuer"], told["caFile"])


@contextlib.contextmanager
def sidecar(
    cloud: Cloud, directory: Path, *, profiles: int = 1, tls: bool = False, uids: list[int] | None = None
) -> Iterator[Sidecar]:
    """`serve --config` with a client secret; returns at once, not when it answers. `uids`: a rule about callers."""
    port, ops = free_port(), free_port()
    path = directory / f"sidecar-{port}.json"
    settings = configuration(cloud, port, ops, profiles=profiles, tls=tls)
    if uids is not None:
        settings["profiles"]["default"]["callers"] = {"uids": uids}
    path.write_text(json.dumps(settings))
    env = {**os.environ, SECRET_VARIABLE: "demo-client-secret", "PYTHONDONTWRITEBYTECODE": "1"}
    with (
        open(directory / f"sidecar-{port}.log", "wb") as log,
        started([*command(), "serve", "--config", str(path)], env=env, stderr=log) as process,
    ):
        yield Sidecar(process.pid, port, ops)


def configuration(cloud: Cloud, port: int, ops: int, *, profiles: int = 1, tls: bool = False) -> dict[str, Any]:
    """Every defence at its default; `tls`: both legs to the cloud over https, as in production."""
    names = ["default", *(f"p{number}" for number in range(2, profiles + 1))]
    base = cloud.tls_url if tls else cloud.url
    return {
        "configVersion": "1.0",
        "profiles": {name: _profile(base, cloud.issuer) for name in names},
        "server": {"bind": f"127.0.0.1:{port}", "ops": f"127.0.0.1:{ops}"},
        "tls": {"caFile": cloud.ca_file if tls else None},
        "startup": {"gate": "listening"},
        "shutdown": {"drainSeconds": 0},
    }


def _profile(base: str, issuer: str) -> dict[str, Any]:
    return {
        "identity": {
            "type": "idaas",
            "idaasInstanceId": "idaas_demo",
            "clientId": "app_demo",
            "issuer": issuer,
            "tokenEndpoint": f"{base}/api/v2/iauths_system/oauth2/token",
            "scope": "api.demo.example|.all",
            "authnConfiguration": {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": SECRET_VARIABLE},
        },
        "exchange": {
            "type": "sts",
            "roleArn": f"{ACCOUNT}:role/demo-default",
            "oidcProviderArn": f"{ACCOUNT}:oidc-provider/idaas-demo",
            "endpoints": [base],
        },
    }
