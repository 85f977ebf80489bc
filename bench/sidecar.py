"""The product as users run it: the installed command, an emulated cloud and a configuration file."""

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
SECRETS = {SECRET_VARIABLE: "demo-client-secret", "BENCH_CACHE_KEY": "0123456789abcdef" * 4}


def command() -> list[str]:
    """Return the installed `idaas-sidecar` beside this interpreter, or the package in the repository."""
    installed = Path(sys.executable).with_name("idaas-sidecar")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "app"]


def extras() -> list[str]:
    """Return installed packages that users do not have and that httpx imports: they cost memory and time."""
    return [name for name in ("rich", "pygments", "pytest") if importlib.util.find_spec(name)]


@dataclass(frozen=True)
class Cloud:
    """The addresses that the emulator prints with `--json`."""

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
    config: Path


@contextlib.contextmanager
def emulated_cloud() -> Iterator[Cloud]:
    """Run the emulator as a process."""
    with started([*command(), "emulator", "--port", "0", "--json"], core=LOAD_CORE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        addresses = json.loads(process.stdout.readline())
        yield Cloud(addresses["emulatorUrl"], addresses["tlsUrl"], addresses["issuer"], addresses["caFile"])


@contextlib.contextmanager
def sidecar(
    cloud: Cloud,
    directory: Path,
    *,
    profiles: int = 1,
    tls: bool = False,
    uids: list[int] | None = None,
    cache: Path | None = None,
    joins: tuple[str, ...] = (),
    admin: Path | None = None,
) -> Iterator[Sidecar]:
    """
    Run `serve` with a client secret; returns before it listens.

    `admin`: the admin socket. `uids`: a rule about callers. `cache`: a directory for the encrypted credential cache.
    `joins`: a command that becomes the one behind it, in a cgroup for example.
    """
    port, ops = free_port(), free_port()
    path = directory / f"sidecar-{port}.json"
    settings = configuration(cloud, port, ops, profiles=profiles, tls=tls)
    if uids is not None:
        settings["profiles"]["default"]["callers"] = {"uids": uids}
    if cache is not None:
        settings["cache"] = {"directory": str(cache), "keyEnvVarName": "BENCH_CACHE_KEY"}
    if admin is not None:
        settings["server"]["adminSocket"] = str(admin)
    path.write_text(json.dumps(settings))
    env = {**os.environ, **SECRETS, "PYTHONDONTWRITEBYTECODE": "1"}
    with (
        open(directory / f"sidecar-{port}.log", "wb") as log,
        started([*joins, *command(), "serve", "--config", str(path)], env=env, stderr=log) as process,
    ):
        yield Sidecar(process.pid, port, ops, path)


def configuration(cloud: Cloud, port: int, ops: int, *, profiles: int = 1, tls: bool = False) -> dict[str, Any]:
    """Return a configuration with default protections. `tls`: https to the cloud, as in production."""
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
