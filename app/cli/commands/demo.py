"""
`demo`: run the emulated cloud and the real sidecar in one process. They communicate over real sockets.

The configuration file works with every other command: the secret and the CA certificate are files beside it.
"""

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

from ...config.loader import Loaded, load
from ...core.errors import ConfigError, Mistake
from ...emulator import Emulator, World, bind, listening
from ...emulator.crypto.loopback_ca import CA_FILE
from ...emulator.world.world import CLIENT_ID, CLIENT_SECRET, INSTANCE_ID, PROVIDER_ARN, SCOPE, role_arn
from ...main import Signals, drain, logger
from ...main import run as run_loop
from ...observe.log import Log
from ...service import Service
from ...system.sockets import reason_of
from ..errors import PROGRAM
from .emulator import ISSUER_PATH, random_bytes
from .env import client_variables

SECRET_FILE = "client-secret"  # noqa: S105 - the name of a file
MIN_DURATION_SECONDS = 900
"""The minimum DurationSeconds of AssumeRoleWithOIDC. For a shorter `--lifetime`, the emulator shortens the sessions."""

OTHER_PORTS = (
    "stop the other program, which may be another demo, or choose other ports: --port names the first of four, such "
    "as --port 0 for free ports"
)
"""What to do about ports in use."""

LONGEST_SOCKET_PATH = 103
"""The most bytes of a path in a Unix socket's address: 103 on macOS, 107 on Linux."""


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Run the emulated cloud and the sidecar until SIGTERM or Ctrl-C."""
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
                f"--port: cannot listen on {port + 2} and {port + 3}: {reason_of(error).cause}",
                cure=OTHER_PORTS,
                error_code="IDS-502",
            ) from None
        issuer = f"{sockets.tls_url}{ISSUER_PATH}"
        world = World.default(profiles=names, issuer=issuer, session_seconds=arguments.lifetime)
        emulator = Emulator(world, random=random_bytes(arguments.seed))
        async with listening(emulator, sockets=sockets, directory=directory) as cloud:
            emulator.tls_fingerprint = cloud.fingerprint
            seconds = max(MIN_DURATION_SECONDS, arguments.lifetime)
            config = _config(names, directory, base=cloud.url, issuer=issuer, seconds=seconds)
            config["server"] = _server(port, directory)
            if not arguments.json:
                config["logging"] = {"format": "text"}  # people read the demo's output, also through `make` or a pipe
            path = _written(config, directory)
            members = {"emulatorUrl": cloud.url, "configPath": path}
            return await _sidecar(path, environ, members, str(cloud.ca_file), arguments)


def _written(config: dict[str, Any], directory: Path) -> str:
    """Write the configuration and the client secret that it names, and return the path of the configuration."""
    secret = directory / SECRET_FILE
    secret.touch(0o600)
    secret.write_text(CLIENT_SECRET)
    path = directory / "config.json"
    path.write_text(json.dumps(config, indent=2))
    return str(path)


def _server(port: int, directory: Path) -> dict[str, str]:
    """Return the addresses to listen on. Port 0 is replaced by free ports, because other commands must know them."""
    ports = (port, port + 1) if port else _free_ports()
    addresses = {"bind": f"127.0.0.1:{ports[0]}", "ops": f"127.0.0.1:{ports[1]}"}
    admin = str(directory / "admin.sock")
    return addresses if len(admin.encode()) > LONGEST_SOCKET_PATH else {**addresses, "adminSocket": admin}


def _free_ports() -> tuple[int, int]:
    """Return two ports that were free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        return first.getsockname()[1], second.getsockname()[1]


async def _sidecar(
    path: str, environ: dict[str, str], members: dict[str, Any], ca_file: str, arguments: Namespace
) -> int:
    """Run the sidecar. Print its addresses when it is ready."""
    loaded = load(path, environ, hostname=socket.gethostname(), now=time.time)
    log = logger(loaded, sys.stderr)
    service = _service(loaded, environ, log)
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
        service.stopping()
        await drain(signals, loaded.settings.shutdown.drain_seconds, log)
    finally:
        await service.stop()
    return 0


def _service(loaded: Loaded, environ: dict[str, str], log: Log) -> Service:
    """Return the sidecar with its sockets. Raises ConfigError, with the option that changes ports in use as cure."""
    try:
        return Service(loaded, environ, log)
    except ConfigError as error:
        if error.error_code != "IDS-502":
            raise
        # The addresses are in a file that `demo` has written, so only --port can change them.
        raise ConfigError.of(Mistake(each.cause, each.error_code, OTHER_PORTS) for each in error.mistakes) from None


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
            "env": {**client, "SSL_CERT_FILE": ca_file},
        }
        print(json.dumps(line), flush=True)
        return
    exports = "\n".join(f"export {name}={value}" for name, value in client.items())
    print(
        f"\nThe sidecar is ready; the cloud behind it is emulated ({members['emulatorUrl']}).\n"
        f"In another terminal:\n\n{exports}\ncurl -s {uri}\n\n"
        f"Probes and metrics: {urls['ops']}/readyz, {urls['ops']}/metrics, {urls['ops']}/status\n\n"
        f"Every command works with the configuration of the demo. In that terminal:\n\n"
        f"export IDAAS_SIDECAR_CONFIG={members['configPath']}\n"
        f'eval "$({_program()} env)"    # also unsets the keys that SDKs read first\n\n'
        f"Ctrl-C stops the demo and removes its files.\n"
        f"Try next, in that terminal: {_program()} doctor",
        flush=True,
    )


def _program() -> str:
    """Return the program's command as it was called, for lines that users paste."""
    return sys.argv[0] if Path(sys.argv[0]).name == PROGRAM else PROGRAM


def _config(names: list[str], directory: Path, *, base: str, issuer: str, seconds: int) -> dict[str, Any]:
    """Return a configuration file for the emulated cloud at `base`, with one profile per name."""
    identity = {
        "type": "idaas",
        "idaasInstanceId": INSTANCE_ID,
        "clientId": CLIENT_ID,
        "issuer": issuer,
        "tokenEndpoint": f"{base}{ISSUER_PATH}/token",
        "scope": SCOPE,
        "authnConfiguration": {"authnMethod": "CLIENT_SECRET_POST", "clientSecretFile": str(directory / SECRET_FILE)},
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
        "startup": {"gate": "listening"},
        "tls": {"caFile": str(directory / CA_FILE)},
        "shutdown": {"drainSeconds": 5},
    }
