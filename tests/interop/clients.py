"""The client programs: one row each. Another client is a program and a row; another language is also a kit and a few
lines in install.sh. What a row expects is what docs/clients.md tells users."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from . import namespace

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / ".interop"

Costs = Mapping[str, int]
"""Requests by endpoint, as the sidecar's own metrics count them."""

NOTHING: Costs = {}
URI: Costs = {"credentials": 1}
ROLE: Costs = {"ecs_role": 1}
ROLE_BY_TOKEN: Costs = {"ecs_token": 1, "ecs_role": 1}
LISTED: Costs = {"ecs_list": 1, "ecs_role": 1}
LISTED_BY_TOKEN: Costs = {"ecs_token": 2, "ecs_list": 1, "ecs_role": 1}
"""These SDKs ask a new session token for every GET."""
LISTED_BY_ONE_TOKEN: Costs = {"ecs_token": 1, "ecs_list": 1, "ecs_role": 1}

IMDSV2_ONLY = {"ALIBABA_CLOUD_IMDSV1_DISABLED": "true"}


@dataclass(frozen=True, slots=True)
class Kit:
    """A language's programs: their directory here, and in `.interop/` what install.sh put there for them."""

    name: str
    made_from: tuple[str, ...]
    """The lock first, then what is compiled; `.interop/<name>/.installed` is their copy where these are installed."""
    launcher: str
    """Starts a program: a command on PATH, or one with its path in `.interop/<name>`."""
    tools: Mapping[str, str] = field(default_factory=dict)
    """Commands that installing takes, with how to get each."""
    options: tuple[str, ...] = ()
    scripts: bool = True
    """Whether a program is a file here; else it is a word that the launcher knows."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def lock(self) -> Path:
        return HERE / self.name / self.made_from[0]

    @property
    def lacks(self) -> str | None:
        """What has to be done before its programs run with the pinned versions, and none before them; None: nothing."""
        if shutil.which(self.command) is not None and self._installed():
            return None
        missing = next((tool for tool in self.tools if shutil.which(tool) is None), None)
        return f"needs {missing} ({self.tools[missing]})" if missing else "needs make interop-install"

    def _installed(self) -> bool:
        stamp = INSTALLED / self.name / ".installed"
        here = b"".join((HERE / self.name / name).read_bytes() for name in self.made_from)
        return stamp.is_file() and stamp.read_bytes() == here

    @property
    def command(self) -> str:
        return str(INSTALLED / self.name / self.launcher) if "/" in self.launcher else self.launcher

    def start(self, program: str) -> list[str]:
        return [self.command, *self.options, str(HERE / self.name / program) if self.scripts else program]


PYTHON = Kit(name="python", made_from=("requirements.txt",), launcher="bin/python")
SDK = Kit(name="sdk", made_from=("requirements.txt",), launcher="bin/python")
"""The official IDaaS SDK: not a client of ours, but what does upstream what we do (tests/interop/test_parity.py)."""
NODE_TOOLS = "apt-get install nodejs npm"
NODE = Kit(
    name="node",
    made_from=("package-lock.json",),
    launcher="node",
    tools={"node": NODE_TOOLS, "npm": NODE_TOOLS},
    environment={"NODE_PATH": str(INSTALLED / "node" / "node_modules")},
)
GO = Kit(
    name="go",
    made_from=("go.sum", "go.mod", "clients.go", "main.go"),
    launcher="./clients",
    tools={"go": "Go 1.26 or newer; Debian's is older"},
    scripts=False,
)
JAVA_TOOLS = "apt-get install openjdk-17-jdk-headless maven"
JAVA = Kit(
    name="java",
    made_from=("jars.sha256", "pom.xml", "Clients.java", "Harness.java"),
    launcher="java",
    tools={"java": JAVA_TOOLS, "javac": JAVA_TOOLS, "mvn": JAVA_TOOLS},
    options=(
        *("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"),  # short lives: what starts soon wins
        *("-cp", f"{INSTALLED / 'java' / 'classes'}:{INSTALLED / 'java' / 'jars'}/*", "Harness"),
    ),
    scripts=False,
)
KITS = (PYTHON, SDK, NODE, GO, JAVA)

Away = Literal["keeps", "fails"]
"""What a call gives while the sidecar is away: what the client has, or an error."""


@dataclass(frozen=True, slots=True)
class Client:
    """
    One program, what its calls cost, and what it does while the sidecar is away.

    `protocol` says what the program is told: the credentials URI as its argument (`uri`); nothing but the variables
    that `env` prints (`chain`); the role as its argument (`ecs`) or nothing at all (`ecs-list`), both with the
    metadata service at its real address; or, in the variables that its library reads, another address of it
    (`endpoint`).
    """

    name: str
    kit: Kit
    program: str
    protocol: Literal["uri", "chain", "ecs", "ecs-list", "endpoint"]
    costs: Costs
    """Of the first call: all of them answered with 200."""
    environment: Mapping[str, str] = field(default_factory=dict)
    again: Costs = field(default_factory=dict)
    """Of each later call: something only where the margin is as long as a session, or nothing is kept at all."""
    away: Away = "keeps"
    """While the session is new."""
    away_at_the_end: Away = "fails"
    """While few seconds are left of it, so that most ask on every call."""
    margin: bool = True
    """Whether it is those seconds that make it ask: others go by a share of the session's life, or never look."""

    @property
    def at_metadata_address(self) -> bool:
        return self.protocol in ("ecs", "ecs-list")

    @property
    def takes_a_profile(self) -> bool:
        return self.protocol in ("uri", "chain", "ecs")

    @property
    def lacks(self) -> str | None:
        """What has to be there before it can run; None: nothing."""
        return self.kit.lacks or (namespace.LACKS if self.at_metadata_address else None)


CLIENTS = (
    Client("python-sync", PYTHON, "uri_sync.py", "uri", URI),
    Client("python-async", PYTHON, "uri_async.py", "uri", URI),
    Client("python-chain", PYTHON, "chain.py", "chain", URI),
    Client("python-ecs", PYTHON, "ecs.py", "ecs", ROLE_BY_TOKEN, away_at_the_end="keeps"),
    Client("python-ecs-v2-only", PYTHON, "ecs.py", "ecs", ROLE_BY_TOKEN, IMDSV2_ONLY, away_at_the_end="keeps"),
    Client("python-ecs-list", PYTHON, "ecs.py", "ecs-list", LISTED_BY_TOKEN, away_at_the_end="keeps"),
    Client(
        "python-ecs-list-v2-only", PYTHON, "ecs.py", "ecs-list", LISTED_BY_TOKEN, IMDSV2_ONLY, away_at_the_end="keeps"
    ),
    Client("python-core-ecs", PYTHON, "core_ecs.py", "ecs", ROLE, away_at_the_end="keeps", margin=False),
    Client("oss2-uri", PYTHON, "oss2_uri.py", "uri", URI, away_at_the_end="keeps", margin=False),
    Client("oss2-ecs", PYTHON, "oss2_ecs.py", "ecs", ROLE, away_at_the_end="keeps", margin=False),
    Client("oss-v2-python", PYTHON, "oss_v2.py", "uri", URI),
    Client("node-uri", NODE, "uri.js", "uri", URI, away_at_the_end="keeps"),
    Client("node-chain", NODE, "chain.js", "chain", URI, away_at_the_end="keeps"),
    Client("node-ecs", NODE, "ecs.js", "ecs", ROLE_BY_TOKEN, again=ROLE_BY_TOKEN, away_at_the_end="keeps"),
    Client(
        "node-ecs-v2-only",
        NODE,
        "ecs.js",
        "ecs",
        ROLE_BY_TOKEN,
        IMDSV2_ONLY,
        again=ROLE_BY_TOKEN,
        away_at_the_end="keeps",
    ),
    Client(
        "node-ecs-list", NODE, "ecs.js", "ecs-list", LISTED_BY_TOKEN, again=LISTED_BY_TOKEN, away_at_the_end="keeps"
    ),
    Client(
        "node-ecs-list-v2-only",
        NODE,
        "ecs.js",
        "ecs-list",
        LISTED_BY_TOKEN,
        IMDSV2_ONLY,
        again=LISTED_BY_TOKEN,
        away_at_the_end="keeps",
    ),
    Client("ali-oss", NODE, "ali_oss.js", "uri", URI, away_at_the_end="keeps"),
    Client("go-uri", GO, "credentials-uri", "uri", URI),
    Client("go-chain", GO, "credentials-chain", "chain", URI),
    Client("go-ecs", GO, "credentials-ecs", "ecs", ROLE_BY_TOKEN),
    Client("go-ecs-v2-only", GO, "credentials-ecs", "ecs", ROLE_BY_TOKEN, IMDSV2_ONLY),
    Client("go-ecs-list", GO, "credentials-ecs", "ecs-list", LISTED_BY_TOKEN),
    Client("go-core-uri", GO, "core-uri", "uri", URI),
    Client("go-core-ecs", GO, "core-ecs", "ecs", ROLE_BY_TOKEN),
    Client("oss-v2-go", GO, "oss-ecs", "ecs", ROLE, away_at_the_end="keeps", margin=False),
    Client("oss-v2-go-list", GO, "oss-ecs", "ecs-list", LISTED, away_at_the_end="keeps", margin=False),
    Client("sls-go", GO, "sls-ecs", "ecs", ROLE, away_at_the_end="keeps"),
    Client("ack-uri", GO, "ack-uri", "uri", URI, away_at_the_end="keeps"),
    Client("ack-ecs", GO, "ack-ecs", "ecs", ROLE_BY_TOKEN, away_at_the_end="keeps"),
    Client("ack-ecs-list", GO, "ack-ecs", "ecs-list", LISTED_BY_ONE_TOKEN, away_at_the_end="keeps"),
    Client("ack-endpoint", GO, "ack-ecs", "endpoint", LISTED_BY_ONE_TOKEN, away_at_the_end="keeps"),
    Client("external-dns", GO, "aliyungo", "ecs-list", LISTED, again=LISTED, away="fails"),
    Client("external-dns-endpoint", GO, "aliyungo", "endpoint", LISTED, again=LISTED, away="fails"),
    Client("aliyungo-2019", GO, "aliyungo-2019", "ecs-list", LISTED, again=LISTED, away="fails"),
    Client("java-uri", JAVA, "credentials-uri", "uri", URI),
    Client("java-chain", JAVA, "credentials-chain", "chain", URI),
    Client("java-ecs", JAVA, "credentials-ecs", "ecs", ROLE_BY_TOKEN, away_at_the_end="keeps"),
    Client("java-ecs-v2-only", JAVA, "credentials-ecs", "ecs", ROLE_BY_TOKEN, IMDSV2_ONLY, away_at_the_end="keeps"),
    Client("java-ecs-list", JAVA, "credentials-ecs", "ecs-list", LISTED_BY_TOKEN, away_at_the_end="keeps"),
    Client("java-core-uri", JAVA, "core-uri", "uri", URI, again=URI, away="fails"),
    Client("java-core-ecs", JAVA, "core-ecs", "ecs", ROLE_BY_TOKEN),
    Client("oss-java-uri", JAVA, "oss-uri", "uri", URI),
    Client("oss-java-custom", JAVA, "oss-custom", "uri", URI),
    Client("oss-java-ecs", JAVA, "oss-ecs", "ecs", ROLE, again=ROLE, away_at_the_end="keeps"),
    Client("sls-java", JAVA, "sls-ecs", "ecs", ROLE),
    Client("sls-java-credentials", JAVA, "sls-ecs-credentials", "ecs", ROLE, away_at_the_end="keeps", margin=False),
)


def in_ci() -> bool:
    """CI installs every kit, so there a missing one is a failure."""
    return os.environ.get("CI") == "true"
