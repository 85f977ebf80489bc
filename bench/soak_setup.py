"""The setup of a soak: an emulated cloud with short sessions, and profiles with secrets in a file and in a variable."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.emulator import Secret, World
from app.emulator.world.world import CLIENT_ID, CLIENT_SECRET, role_arn
from tests.e2e.cloud import ENV, config, emulator_admin
from tests.e2e.processes import EmulatedCloud

LIFE = 24
"""The life of a session in seconds. A session is replaced after about ten, so that an hour has as many refreshes as two
weeks."""

PROFILES = ("default", "p2", "p3", "sdk")
"""The requests of `sdk` are not counted one by one."""

SECRETS = (CLIENT_SECRET, "second-secret")
SECRET_FILE = "client-secret"


def prepare(cloud: EmulatedCloud, home: Path) -> dict[str, str]:
    """Make the cloud issue short sessions and accept two secrets; return the sidecar's environment."""
    world = World.default(profiles=PROFILES, issuer=cloud.issuer, token_seconds=90, session_seconds=LIFE)
    client = replace(world.clients[CLIENT_ID], secrets=tuple(map(Secret, SECRETS)))
    world = replace(world, clients={**world.clients, CLIENT_ID: client})
    emulator_admin(cloud.url, "PUT", "world", json.loads(world.to_json()))
    secret = home / SECRET_FILE
    secret.write_text(CLIENT_SECRET)
    secret.chmod(0o600)
    return {**ENV, "CACHE_KEY": "0123456789abcdef" * 4}


def configuration(cloud: EmulatedCloud, home: Path, *, seconds: int = 900, level: str = "info") -> dict[str, Any]:
    """Return the sidecar's configuration. A reload changes `seconds` and `level`."""
    settings = config(
        cloud,
        refresh={"minRetrySeconds": 0.2, "maxRetrySeconds": 4, "permanentRetrySeconds": 10},
        startup={"gate": "listening"},
        cache={"directory": str(home / "cache"), "keyEnvVarName": "CACHE_KEY"},
        logging={"level": level},
    )
    settings["server"]["adminSocket"] = str(home / "admin.sock")
    profile = settings["profiles"].pop("default")
    for name in PROFILES:
        copy = json.loads(json.dumps(profile))
        copy["exchange"] |= {"roleArn": role_arn(name), "durationSeconds": seconds if name == "p3" else 900}
        if name != "default":
            authentication = {"authnMethod": "CLIENT_SECRET_BASIC", "clientSecretFile": str(home / SECRET_FILE)}
            copy["identity"]["authnConfiguration"] = authentication
        settings["profiles"][name] = copy
    settings["profiles"]["p2"]["files"] = [{"path": str(home / "p2.ini")}]
    return settings
