"""What the soak runs in: an emulated cloud with short sessions, profiles by file and by variable."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.emulator import Secret, World
from app.emulator.world.world import CLIENT_ID, CLIENT_SECRET, role_arn
from tests.e2e.processes import EmulatedCloud
from tests.e2e.cloud import ENV, emulator_admin, config

LIFE = 24
"""Seconds that a session lives: replaced after some ten, so that an hour sees as many refreshes as a fortnight."""

PROFILES = ("default", "p2", "p3", "sdk")
"""`sdk` is for clients whose requests are not counted one by one."""

SECRETS = (CLIENT_SECRET, "second-secret")
SECRET_FILE = "client-secret"


def prepared(cloud: EmulatedCloud, home: Path) -> dict[str, str]:
    """Has the cloud give short sessions and take two secrets; the sidecar's environment."""
    world = World.default(profiles=PROFILES, issuer=cloud.issuer, token_seconds=90, session_seconds=LIFE)
    client = replace(world.clients[CLIENT_ID], secrets=tuple(map(Secret, SECRETS)))
    world = replace(world, clients={**world.clients, CLIENT_ID: client})
    emulator_admin(cloud.url, "PUT", "world", json.loads(world.to_json()))
    secret = home / SECRET_FILE
    secret.write_text(CLIENT_SECRET)
    secret.chmod(0o600)
    return {**ENV, "CACHE_KEY": "0123456789abcdef" * 4}


def configuration(cloud: EmulatedCloud, home: Path, *, seconds: int = 900, level: str = "info") -> dict[str, Any]:
    """The sidecar's file; `seconds` and `level` are what a reload changes."""
    whole = config(
        cloud,
        refresh={"minRetrySeconds": 0.2, "maxRetrySeconds": 4, "permanentRetrySeconds": 10},
        startup={"gate": "listening"},
        cache={"directory": str(home / "cache"), "keyEnvVarName": "CACHE_KEY"},
        logging={"level": level},
    )
    whole["server"]["adminSocket"] = str(home / "admin.sock")
    profile = whole["profiles"].pop("default")
    for name in PROFILES:
        each = json.loads(json.dumps(profile))
        each["exchange"] |= {"roleArn": role_arn(name), "durationSeconds": seconds if name == "p3" else 900}
        if name != "default":
            authentication = {"authnMethod": "CLIENT_SECRET_BASIC", "clientSecretFile": str(home / SECRET_FILE)}
            each["identity"]["authnConfiguration"] = authentication
        whole["profiles"][name] = each
    whole["profiles"]["p2"]["files"] = [{"path": str(home / "p2.ini")}]
    return whole
