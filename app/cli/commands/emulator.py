"""`emulator`: run the emulated cloud alone, also for the tests of other projects."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from ...core.errors import ConfigError
from ...emulator import Emulator, World, WorldError, bind, listening
from ...emulator.world.world import (
    ACCESS_KEY_ID,
    ACCESS_KEY_SECRET,
    CHAINED_ROLE_ARN,
    CLIENT_ID,
    CLIENT_SECRET,
    INSTANCE_ID,
    MANAGED_ROLE_ARN,
    PAM_SCOPE,
    PROVIDER_ARN,
    SCOPE,
    WORKLOAD_PROVIDER_ARN,
    role_arn,
)
from ...main import Signals
from ...main import run as run_loop
from ...system.sockets import reason_of

ISSUER_PATH = "/api/v2/iauths_system/oauth2"

DEMO_WORLD = {
    "idaasInstanceId": INSTANCE_ID,
    "clientId": CLIENT_ID,
    "clientSecret": CLIENT_SECRET,
    "scope": SCOPE,
    "roleArn": role_arn("default"),
    "oidcProviderArn": PROVIDER_ARN,
    "managedRoleArn": MANAGED_ROLE_ARN,
    "managedScope": PAM_SCOPE,
    "chainedRoleArn": CHAINED_ROLE_ARN,
    "accessKeyId": ACCESS_KEY_ID,
    "accessKeySecret": ACCESS_KEY_SECRET,
    "workloadProviderArn": WORKLOAD_PROVIDER_ARN,
}
"""The names and secrets of the default world. They are fictitious and only valid with the emulator."""

HINT = 'to inject a fault: curl -d \'{"kind": "sts", "status": 503}\' EMULATOR_URL/_emulator/faults (docs/emulator.md)'


def run(arguments: Namespace, _environ: Mapping[str, str]) -> int:
    """Run the emulator until SIGTERM or Ctrl-C."""
    return run_loop(lambda: _run(arguments))


async def _run(arguments: Namespace) -> int:
    port = arguments.port
    try:
        sockets = bind(port, port + 1 if port else 0)
    except OSError as error:
        raise ConfigError(
            f"--port: cannot listen on 127.0.0.1:{port} and the next port: {reason_of(error).cause}",
            cure="stop the other program, or choose other ports with --port, such as --port 0 for free ports",
            error_code="IDS-502",
        ) from None
    try:
        issuer = f"{sockets.tls_url}{ISSUER_PATH}"
        world = World.load(Path(arguments.world)) if arguments.world else World.default(issuer=issuer)
    except WorldError as error:
        sockets.close()
        raise ConfigError(f"--world: {error}", error_code="IDS-126") from None
    signals = Signals(asyncio.get_running_loop())
    with tempfile.TemporaryDirectory(prefix="idaas-emulator-") as directory:
        emulator = Emulator(world, random=random_bytes(arguments.seed))
        client_ca = emulator.workload_ca
        async with listening(emulator, sockets=sockets, directory=Path(directory), client_ca=client_ca) as address:
            emulator.tls_fingerprint = address.fingerprint
            members = {
                "emulatorUrl": address.url,
                "tlsUrl": address.tls_url,
                "issuer": world.issuer,
                "caFile": str(address.ca_file),
                "fingerprint": address.fingerprint,
                **({} if arguments.world else DEMO_WORLD),
            }
            print(json.dumps(members) if arguments.json else _text(members), flush=True)
            await signals.stop.wait()
    return 0


def random_bytes(seed: int | None) -> Callable[[int], bytes]:
    """Return a source of random bytes: the system's, or a repeatable one."""
    return os.urandom if seed is None else Random(seed).randbytes  # noqa: S311 # nosec B311 - fictitious credentials


def _text(members: Mapping[str, str]) -> str:
    rows = (f"  {key:<20} {value}" for key, value in members.items())
    return "\n".join(("emulated IDaaS and STS, for tests, never for production:", *rows, HINT))
