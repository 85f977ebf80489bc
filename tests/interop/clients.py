"""The client programs, one row each, with the expectations that docs/clients.md documents.

A further client is a program and a row. A further language is also a kit and a few lines in install.sh.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from . import namespace

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / ".interop"

RequestCounts = Mapping[str, int]
"""The number of requests by endpoint, as the sidecar's metrics count them."""

NOTHING: RequestCounts = {}
URI: RequestCounts = {"credentials": 1}
ROLE: RequestCounts = {"ecs_role": 1}
ROLE_BY_TOKEN: RequestCounts = {"ecs_token": 1, "ecs_role": 1}
LISTED: RequestCounts = {"ecs_list": 1, "ecs_role": 1}
LISTED_BY_TOKEN: RequestCounts = {"ecs_token": 2, "ecs_list": 1, "ecs_role": 1}
"""These SDKs fetch a new session token for every GET."""
LISTED_BY_ONE_TOKEN: RequestCounts = {"ecs_token": 1, "ecs_list": 1, "ecs_role": 1}

IMDSV2_ONLY = {"ALIBABA_CLOUD_IMDSV1_DISABLED": "true"}


@dataclass(frozen=True, slots=True)
class Kit:
    """The programs of a language, in the directory `name`. install.sh installs what they need in `.interop/<name>`."""

    name: str
    sources: tuple[str, ...]
    """The lock, then the compiled files. `.interop/<name>/.installed` is a copy of those that are installed."""
    launcher: str
    """The command that starts a program: on PATH, or relative to `.interop/<name>`."""
    tools: Mapping[str, str] = field(default_factory=dict)
    """The commands that the installation needs, with the way to get each."""
    options: tuple[str, ...] = ()
    scripts: bool = True
    """Whether a program is a file in the kit; otherwise it is a subcommand of the launcher."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def lock(self) -> Path:
        """The lock file."""
        return HERE / self.name / self.sources[0]

    @property
    def missing(self) -> str | None:
        """What must be installed before the programs run with the pinned versions; None if nothing is missing."""
        if shutil.which(self.command) is not None and self._installed():
            return None
        missing = next((tool for tool in self.tools if shutil.which(tool) is None), None)
        return f"needs {missing} ({self.tools[missing]})" if missing else "needs make interop-install"

    def _installed(self) -> bool:
        stamp = INSTALLED / self.name / ".installed"
        here = b"".join((HERE / self.name / name).read_bytes() for name in self.sources)
        return stamp.is_file() and stamp.read_bytes() == here

    @property
    def command(self) -> str:
        """The launcher's command."""
        return str(INSTALLED / self.name / self.launcher) if "/" in self.launcher else self.launcher

    def start(self, program: str) -> list[str]:
        """Return the command that starts a program."""
        return [self.command, *self.options, str(HERE / self.name / program) if self.scripts else program]


PYTHON = Kit(name="python", sources=("requirements.txt",), launcher="bin/python")
SDK = Kit(name="sdk", sources=("requirements.txt",), launcher="bin/python")
"""The official IDaaS SDK. It is no client: tests/interop/test_parity.py compares its requests with the sidecar's."""
NODE_TOOLS = "apt-get install nodejs npm"
NODE = Kit(
    name="node",
    sources=("package-lock.json",),
    launcher="node",
    tools={"node": NODE_TOOLS, "npm": NODE_TOOLS},
    environment={"NODE_PATH": str(INSTALLED / "node" / "node_modules")},
)
GO = Kit(
    name="go",
    sources=("go.sum", "go.mod", "clients.go", "main.go", "readme/main.go"),
    launcher="./clients",
    tools={"go": "Go 1.26 or newer; Debian's is older"},
    scripts=False,
)
JAVA_TOOLS = "apt-get install openjdk-17-jdk-headless maven"
JAVA = Kit(
    name="java",
    sources=("jars.sha256", "pom.xml", "Clients.java", "Harness.java", "Example.java"),
    launcher="java",
    tools={"java": JAVA_TOOLS, "javac": JAVA_TOOLS, "mvn": JAVA_TOOLS},
    options=(
        *("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"),  # for short-lived processes: a quick start
        *("-cp", f"{INSTALLED / 'java' / 'classes'}:{INSTALLED / 'java' / 'jars'}/*", "Harness"),
    ),
    scripts=False,
)
KITS = (PYTHON, SDK, NODE, GO, JAVA)

WhileStopped = Literal["keeps", "fails"]
"""The result of a call while the sidecar is stopped: the credentials that the client keeps, or an error."""


@dataclass(frozen=True, slots=True)
class Client:
    """
    A program, the requests that its calls cause, and its behaviour while the sidecar is stopped.

    `protocol` is how the program finds the sidecar. `uri`: the credentials URI is its argument. `chain`: it has only
    the variables that `env` prints. `ecs`: the role is its argument. `ecs-list`: it has no argument. With both, the
    metadata service is at its real address. `endpoint`: variables of its library name another address of that service.
    """

    name: str
    kit: Kit
    program: str
    protocol: Literal["uri", "chain", "ecs", "ecs-list", "endpoint"]
    first_call: RequestCounts
    """The requests of the first call. Each gets status 200."""
    environment: Mapping[str, str] = field(default_factory=dict)
    later_calls: RequestCounts = field(default_factory=dict)
    """The requests of each later call: none, unless the margin is as long as a session or the client keeps nothing."""
    while_stopped: WhileStopped = "keeps"
    """While the session is new."""
    while_stopped_at_the_end: WhileStopped = "fails"
    """While few seconds of the session are left, so that most clients fetch on every call."""
    margin: bool = True
    """Whether the client fetches because few seconds are left. Others use a share of the life, or never look."""

    @property
    def at_metadata_address(self) -> bool:
        """Whether the client uses the real address of the metadata service."""
        return self.protocol in ("ecs", "ecs-list")

    @property
    def takes_a_profile(self) -> bool:
        """Whether the client can be given a profile."""
        return self.protocol in ("uri", "chain", "ecs")

    @property
    def missing(self) -> str | None:
        """What must be there before the client can run; None if nothing is missing."""
        return self.kit.missing or (namespace.MISSING if self.at_metadata_address else None)


CLIENTS = (
    Client("python-sync", PYTHON, "uri_sync.py", "uri", URI),
    Client("python-async", PYTHON, "uri_async.py", "uri", URI),
    Client("python-chain", PYTHON, "chain.py", "chain", URI),
    Client("python-ecs", PYTHON, "ecs.py", "ecs", ROLE_BY_TOKEN, while_stopped_at_the_end="keeps"),
    Client("python-ecs-v2-only", PYTHON, "ecs.py", "ecs", ROLE_BY_TOKEN, IMDSV2_ONLY, while_stopped_at_the_end="keeps"),
    Client("python-ecs-list", PYTHON, "ecs.py", "ecs-list", LISTED_BY_TOKEN, while_stopped_at_the_end="keeps"),
    Client(
        "python-ecs-list-v2-only",
        PYTHON,
        "ecs.py",
        "ecs-list",
        LISTED_BY_TOKEN,
        IMDSV2_ONLY,
        while_stopped_at_the_end="keeps",
    ),
    Client("python-core-ecs", PYTHON, "core_ecs.py", "ecs", ROLE, while_stopped_at_the_end="keeps", margin=False),
    Client("oss2-uri", PYTHON, "oss2_uri.py", "uri", URI, while_stopped_at_the_end="keeps", margin=False),
    Client("oss2-ecs", PYTHON, "oss2_ecs.py", "ecs", ROLE, while_stopped_at_the_end="keeps", margin=False),
    Client("oss-v2-python", PYTHON, "oss_v2.py", "uri", URI),
    Client("node-uri", NODE, "uri.js", "uri", URI, while_stopped_at_the_end="keeps"),
    Client("node-chain", NODE, "chain.js", "chain", URI, while_stopped_at_the_end="keeps"),
    Client(
        "node-ecs", NODE, "ecs.js", "ecs", ROLE_BY_TOKEN, later_calls=ROLE_BY_TOKEN, while_stopped_at_the_end="keeps"
    ),
    Client(
        "node-ecs-v2-only",
        NODE,
        "ecs.js",
        "ecs",
        ROLE_BY_TOKEN,
        IMDSV2_ONLY,
        later_calls=ROLE_BY_TOKEN,
        while_stopped_at_the_end="keeps",
    ),
    Client(
        "node-ecs-list",
        NODE,
        "ecs.js",
        "ecs-list",
        LISTED_BY_TOKEN,
        later_calls=LISTED_BY_TOKEN,
        while_stopped_at_the_end="keeps",
    ),
    Client(
        "node-ecs-list-v2-only",
        NODE,
        "ecs.js",
        "ecs-list",
        LISTED_BY_TOKEN,
        IMDSV2_ONLY,
        later_calls=LISTED_BY_TOKEN,
        while_stopped_at_the_end="keeps",
    ),
    Client("ali-oss", NODE, "ali_oss.js", "uri", URI, while_stopped_at_the_end="keeps"),
    Client("go-uri", GO, "credentials-uri", "uri", URI),
    Client("go-chain", GO, "credentials-chain", "chain", URI),
    Client("go-ecs", GO, "credentials-ecs", "ecs", ROLE_BY_TOKEN),
    Client("go-ecs-v2-only", GO, "credentials-ecs", "ecs", ROLE_BY_TOKEN, IMDSV2_ONLY),
    Client("go-ecs-list", GO, "credentials-ecs", "ecs-list", LISTED_BY_TOKEN),
    Client("go-core-uri", GO, "core-uri", "uri", URI),
    Client("go-core-ecs", GO, "core-ecs", "ecs", ROLE_BY_TOKEN),
    Client("oss-v2-go", GO, "oss-ecs", "ecs", ROLE, while_stopped_at_the_end="keeps", margin=False),
    Client("oss-v2-go-list", GO, "oss-ecs", "ecs-list", LISTED, while_stopped_at_the_end="keeps", margin=False),
    Client("sls-go", GO, "sls-ecs", "ecs", ROLE, while_stopped_at_the_end="keeps"),
    Client("ack-uri", GO, "ack-uri", "uri", URI, while_stopped_at_the_end="keeps"),
    Client("ack-ecs", GO, "ack-ecs", "ecs", ROLE_BY_TOKEN, while_stopped_at_the_end="keeps"),
    Client("ack-ecs-list", GO, "ack-ecs", "ecs-list", LISTED_BY_ONE_TOKEN, while_stopped_at_the_end="keeps"),
    Client("ack-endpoint", GO, "ack-ecs", "endpoint", LISTED_BY_ONE_TOKEN, while_stopped_at_the_end="keeps"),
    Client("external-dns", GO, "aliyungo", "ecs-list", LISTED, later_calls=LISTED, while_stopped="fails"),
    Client("external-dns-endpoint", GO, "aliyungo", "endpoint", LISTED, later_calls=LISTED, while_stopped="fails"),
    Client("aliyungo-2019", GO, "aliyungo-2019", "ecs-list", LISTED, later_calls=LISTED, while_stopped="fails"),
    Client("java-uri", JAVA, "credentials-uri", "uri", URI),
    Client("java-chain", JAVA, "credentials-chain", "chain", URI),
    Client("java-ecs", JAVA, "credentials-ecs", "ecs", ROLE_BY_TOKEN, while_stopped_at_the_end="keeps"),
    Client(
        "java-ecs-v2-only", JAVA, "credentials-ecs", "ecs", ROLE_BY_TOKEN, IMDSV2_ONLY, while_stopped_at_the_end="keeps"
    ),
    Client("java-ecs-list", JAVA, "credentials-ecs", "ecs-list", LISTED_BY_TOKEN, while_stopped_at_the_end="keeps"),
    Client("java-core-uri", JAVA, "core-uri", "uri", URI, later_calls=URI, while_stopped="fails"),
    Client("java-core-ecs", JAVA, "core-ecs", "ecs", ROLE_BY_TOKEN),
    Client("oss-java-uri", JAVA, "oss-uri", "uri", URI),
    Client("oss-java-custom", JAVA, "oss-custom", "uri", URI),
    Client("oss-java-ecs", JAVA, "oss-ecs", "ecs", ROLE, later_calls=ROLE, while_stopped_at_the_end="keeps"),
    Client("sls-java", JAVA, "sls-ecs", "ecs", ROLE),
    Client(
        "sls-java-credentials", JAVA, "sls-ecs-credentials", "ecs", ROLE, while_stopped_at_the_end="keeps", margin=False
    ),
)


def in_ci() -> bool:
    """Return whether this is CI, which installs every kit: there a missing kit is a failure."""
    return os.environ.get("CI") == "true"


def rows(clients: Iterable[Client]) -> list[object]:
    """Return the clients as parameters. Clients that cannot run are skipped with the reason, but never in CI."""
    return [
        pytest.param(
            each,
            id=each.name,
            marks=pytest.mark.skipif(each.missing is not None and not in_ci(), reason=f"skipped: {each.missing}"),
        )
        for each in clients
    ]
