"""The client programs: one row each. Another client is a program and a row; another language is also a kit and a few
lines in install.sh."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / ".interop"

Costs = Mapping[str, int]
"""Requests by endpoint, as the sidecar's own metrics count them."""

URI: Costs = {"credentials": 1}
ROLE: Costs = {"ecs_role": 1}
ROLE_BY_TOKEN: Costs = {"ecs_token": 1, "ecs_role": 1}
LISTED_BY_TOKEN: Costs = {"ecs_token": 2, "ecs_list": 1, "ecs_role": 1}
"""These SDKs ask a new session token for every GET."""

IMDSV2_ONLY = {"ALIBABA_CLOUD_IMDSV1_DISABLED": "true"}


@dataclass(frozen=True, slots=True)
class Kit:
    """A language's programs: their directory here, and in `.interop/` what install.sh put there for them."""

    name: str
    pins: str
    """The lock file; `.interop/<name>/.installed` is its copy where these very versions are installed."""
    launcher: str
    """Starts a program: a command on PATH, or one with its path in `.interop/<name>`."""
    cure: str = ""
    """How to get a launcher that is not on PATH."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def lock(self) -> Path:
        return HERE / self.name / self.pins

    @property
    def lacks(self) -> str | None:
        """What has to be done before its programs run with the pinned versions, and none before them; None: nothing."""
        found = shutil.which(self.command) is not None
        if not found and self.cure:
            return f"needs {self.launcher} ({self.cure})"
        stamp = INSTALLED / self.name / ".installed"
        pinned = stamp.is_file() and stamp.read_bytes() == self.lock.read_bytes()
        return None if found and pinned else "needs make interop-install"

    @property
    def command(self) -> str:
        return str(INSTALLED / self.name / self.launcher) if "/" in self.launcher else self.launcher

    def start(self, program: str) -> list[str]:
        return [self.command, str(HERE / self.name / program)]


PYTHON = Kit(name="python", pins="requirements.txt", launcher="bin/python")
SDK = Kit(name="sdk", pins="requirements.txt", launcher="bin/python")
"""The official IDaaS SDK: not a client of ours, but what does upstream what we do (tests/interop/test_parity.py)."""
NODE = Kit(
    name="node",
    pins="package-lock.json",
    launcher="node",
    cure="apt-get install nodejs npm",
    environment={"NODE_PATH": str(INSTALLED / "node" / "node_modules")},
)
KITS = (PYTHON, SDK, NODE)


@dataclass(frozen=True, slots=True)
class Client:
    """
    One program, and what its calls cost.

    `protocol` says what the program is told: the credentials URI as its argument (`uri`), nothing but the variables
    that `demo` prints (`chain`), or the metadata URL and the role as arguments (`ecs`, `ecs-list`: without the role).
    """

    name: str
    kit: Kit
    program: str
    protocol: Literal["uri", "chain", "ecs", "ecs-list"]
    costs: Costs
    """Of the first call: all of them answered with 200."""
    environment: Mapping[str, str] = field(default_factory=dict)
    every_call: bool = False
    """Asks anew on each call, because its margin is as long as a session: section 7 of the clients' reference."""


CLIENTS = (
    Client("python-sync", PYTHON, "uri_sync.py", "uri", URI),
    Client("python-async", PYTHON, "uri_async.py", "uri", URI),
    Client("python-chain", PYTHON, "chain.py", "chain", URI),
    Client("python-ecs", PYTHON, "ecs.py", "ecs", ROLE_BY_TOKEN),
    Client("python-ecs-v2-only", PYTHON, "ecs.py", "ecs", ROLE_BY_TOKEN, IMDSV2_ONLY),
    Client("python-ecs-list", PYTHON, "ecs.py", "ecs-list", LISTED_BY_TOKEN),
    Client("python-ecs-list-v2-only", PYTHON, "ecs.py", "ecs-list", LISTED_BY_TOKEN, IMDSV2_ONLY),
    Client("oss2-uri", PYTHON, "oss2_uri.py", "uri", URI),
    Client("oss2-ecs", PYTHON, "oss2_ecs.py", "ecs", ROLE),
    Client("node-uri", NODE, "uri.js", "uri", URI),
    Client("node-chain", NODE, "chain.js", "chain", URI),
    Client("node-ecs", NODE, "ecs.js", "ecs", ROLE_BY_TOKEN, every_call=True),
    Client("node-ecs-v2-only", NODE, "ecs.js", "ecs", ROLE_BY_TOKEN, IMDSV2_ONLY, every_call=True),
    Client("node-ecs-list", NODE, "ecs.js", "ecs-list", LISTED_BY_TOKEN, every_call=True),
    Client("node-ecs-list-v2-only", NODE, "ecs.js", "ecs-list", LISTED_BY_TOKEN, IMDSV2_ONLY, every_call=True),
)


def in_ci() -> bool:
    """CI installs every kit, so there a missing one is a failure."""
    return os.environ.get("CI") == "true"
