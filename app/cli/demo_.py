"""`demo`: run the emulated cloud and the real sidecar in one process. They communicate over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..config.loader import load
from ..core.errors import ConfigError
from ..emulator import Emulator, World, bind, listening
from ..emulator.world.world import CLIENT_ID, CLIENT_SECRET, INSTANCE_ID, PROVIDER_ARN, SCOPE, role_arn
from ..main import Signals, drain, logger
from ..main import run as run_loop
from ..service import Service
from .emulator_ import ISSUER_PATH, random_bytes
from .env_ import client_variables

SECRET_VARIABLE = "IDAAS_DEMO_CLIENT_SECRET"  # noqa: S105 - the name of a variable
MIN_DURATION_SECONDS = 900
"""The minimum DurationSeconds of AssumeRoleWithOIDC. The emulator issues shorter sessions if `--lifetime` is less."""


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Run both until SIGTERM or Ctrl-C."""
    return run_loop(lambda: _run(arguments, dict(environ)))


async def _run(arguments: Namespace, environ: dict[str, str]) -> int:
    names = ["default", *(f"p{number}" for number in range(2, arguments.profiles + 1))]
    port = arguments.port
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="idaas-sidecar-demo-")))
        try:
            sockets = bind(*((port + 2, port + 3) if port else (0, 0)))
        except OSError as error:
            raise ConfigError(
                f"--port: cannot listen on {port + 2} and {port + 3}: {error.strerror}", error_code="IDS-502"
            ) from None
        issuer = f"{sockets.tls_url}{ISSUER_PATH}"
        world = World.default(profiles=names, issuer=issuer, session_seconds=arguments.lifetime)
        emulator = Emulator(world, random=random_bytes(arguments.seed))
        async with listening(emulator, sockets=sockets, directory=directory) as cloud:
            emulator.tls_fingerprint = cloud.fingerprint
            seconds = max(MIN_DURATION_SECONDS, arguments.lifetime)
            config = _config(names, port, base=cloud.url, issuer=issuer, seconds=seconds)
            path = directory / "config.json"
            path.write_text(json.dumps(config, indent=2))
            environ |= {SECRET_VARIABLE: CLIENT_SECRET, "SSL_CERT_FILE": str(cloud.ca_file)}
            members = {"emulatorUrl": cloud.url, "configPath": str(path.resolve())}
            return await _sidecar(str(path), environ, members, str(cloud.ca_file), arguments)


async def _sidecar(
    path: str, environ: dict[str, str], members: dict[str, Any], ca_file: str, arguments: Namespace
) -> int:
    """Run the sidecar; print where it listens when it is ready."""
    loaded = load(path, environ, hostname=socket.gethostname(), now=time.time)
    log = logger(loaded, sys.stderr)
    service = Service(loaded, environ, log)
    signals = Signals(asyncio.get_running_loop())
    await service.start()
    try:
        stop = asyncio.ensure_future(signals.stop.wait())
        ready = asyncio.ensure_future(service.ready())
        await asyncio.wait((stop, ready), return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            _print_ready(service.urls(), members, ca_file, as_json=arguments.json)
        await stop
        ready.cancel()
        await drain(signals, loaded.settings.shutdown.drain_seconds, log)
    finally:
        await service.stop()
    return 0


def _print_ready(urls: Mapping[str, str], members: dict[str, Any], ca_file: str, *, as_json: bool) -> None:
    """Print one JSON line with `members`, or lines to paste into a shell."""
    client = client_variables(urls["credentials"], "default", None)
    uri = client["ALIBABA_CLOUD_CREDENTIALS_URI"]
    if as_json:
        line = {
            "credentialsUri": uri,
            "metadataUrl": urls["credentials"],
            "opsUrl": urls["ops"],
            **members,
            "env": {**client, SECRET_VARIABLE: CLIENT_SECRET, "SSL_CERT_FILE": ca_file},
        }
        print(json.dumps(line), flush=True)
        return
    exports = "\n".join(f"export {name}={value}" for name, value in client.items())
    print(
        f"\nThe sidecar is ready; the cloud behind it is emulated ({members['emulatorUrl']}).\n"
        f"In another terminal:\n\n{exports}\ncurl -s {uri}\n\n"
        f"Probes and metrics: {urls['ops']}/readyz, {urls['ops']}/metrics, {urls['ops']}/status\n"
        f"Configuration: {members['configPath']}\nCtrl-C stops the demo.",
        flush=True,
    )


def _config(names: list[str], port: int, *, base: str, issuer: str, seconds: int) -> dict[str, Any]:
    """Return a configuration file for the emulated cloud at `base`, with one profile per name."""
    identity = {
        "type": "idaas",
        "idaasInstanceId": INSTANCE_ID,
        "clientId": CLIENT_ID,
        "issuer": issuer,
        "tokenEndpoint": f"{base}{ISSUER_PATH}/token",
        "scope": SCOPE,
        "authnConfiguration": {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": SECRET_VARIABLE},
    }
    return {
        "configVersion": "1.0",
        "profiles": {
            name: {
                "identity": identity,
                "exchange": {
                    "type": "sts",
                    "roleArn": role_arn(name),
                    "oidcProviderArn": PROVIDER_ARN,
                    "endpoints": [base],
                    "durationSeconds": seconds,
                },
            }
            for name in names
        },
        "server": {"bind": f"127.0.0.1:{port}", "ops": f"127.0.0.1:{port + 1 if port else 0}"},
        "startup": {"gate": "listening"},
        "shutdown": {"drainSeconds": 5},
    }
