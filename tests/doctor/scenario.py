"""A workload with everything that `doctor` examines, healthy until a test breaks one thing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx

from app.core.errors import SidecarError, Unreachable
from app.doctor.finding import Step
from app.doctor.ram import RamAccess
from app.doctor.reading import PresentedChain
from app.doctor.target import Caller, Target
from app.doctor.walk import Walk
from app.emulator import MARKER_HEADER
from app.emulator.world.world import ACCESS_KEY_ID, ACCESS_KEY_SECRET, role_arn
from app.setup.fingerprint import Certificate, Chain
from app.system.local_http import IS_IT_RUNNING

from ..conftest import BASE, configuration
from ..workload import Workload

REMOVED = object()
"""A value of `put` that removes the key."""

URL = "http://127.0.0.1:7117/credentials"

PRESENTED = Chain("127.0.0.1", 443, (Certificate("CN=leaf", "CN=root", "1" * 40, "2030-01-01"),))
"""The certificates that the issuer's server presents."""


class Cloud(httpx.AsyncBaseTransport):
    """
    The emulated cloud behind a network that a test can break.

    `failures` maps `host:port`, or `*`, to what happens at a request: an error, the answer of something in between, or
    None for a request that passes.
    """

    def __init__(self, workload: Workload, now: Callable[[], float]) -> None:
        self.now = now
        self.failures: dict[str, Callable[[], Exception | httpx.Response | None]] = {}
        self.clock_offset = 0.0
        self._workload = workload

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        failure = self.failures.get(request.url.netloc.decode()) or self.failures.get("*")
        found = failure() if failure is not None else None
        if isinstance(found, Exception):
            raise found
        if found is not None:
            return found
        inner = httpx.ASGITransport(self._workload.emulator)  # type: ignore[arg-type]
        response = await inner.handle_async_request(request)
        if request.url.host.endswith(".aliyuncs.com"):
            del response.headers[MARKER_HEADER]  # the real cloud, which has no such header
        if self.clock_offset:
            moved = self.now() + self.clock_offset
            response.headers["date"] = formatdate(moved, usegmt=True)
        return response


@dataclass(frozen=True)
class Case:
    """
    One misconfiguration.

    `code`: the finding that must be there. `says`: a part of its message or cure, which names what `cures` does.
    """

    name: str
    code: str
    says: str
    breaks: Callable[[Scenario], Any]
    cures: Callable[[Scenario], Any]


def changed(name: str, code: str, says: str, key: str, wrong: Any, right: Any = None) -> Case:
    """Return a case of one key of the configuration. Without `right`, the cure is the value of before."""

    def breaks(scenario: Scenario) -> None:
        scenario.kept["right"] = scenario.value(key) if right is None else right
        scenario.put(key, wrong)

    return Case(name, code, says, breaks, lambda scenario: scenario.put(key, scenario.kept["right"]))


@dataclass
class Scenario:
    """The parts; a test changes one, runs `steps`, applies the cure and runs `steps` again."""

    workload: Workload
    clocks: Any
    cloud: Cloud
    config: dict[str, Any] = field(default_factory=configuration)
    text: str | None = None
    path: str | None = "config.json"
    trust_policy: str | None = None
    policy_file: bool = True
    listening: set[tuple[str, int]] = field(
        default_factory=lambda: {("127.0.0.1", 7117), ("localhost", 7117), ("sidecar.local", 7117)}
    )
    admin: SidecarError | None = None
    presented: PresentedChain = lambda _url: PRESENTED
    ram: RamAccess | None = field(default_factory=lambda: RamAccess(("RAM_ID", "RAM_SECRET", ""), endpoint=BASE))
    own_environment: bool = False
    client: dict[str, str] = field(
        default_factory=lambda: {
            "ALIBABA_CLOUD_CREDENTIALS_URI": URL,
            "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true",
        }
    )
    caller: Caller = field(default_factory=lambda: Caller(1000, (1000,)))
    state: dict[str, Any] = field(default_factory=lambda: {"profile": "default", "state": "fresh", "last_error": None})
    running: dict[str, Any] = field(default_factory=dict)
    foreign: bool = False
    taken: set[int] = field(default_factory=lambda: {7117, 7118})
    sidecars: set[int] = field(default_factory=lambda: {7117, 7118})
    kept: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.environ.update(RAM_ID=ACCESS_KEY_ID, RAM_SECRET=ACCESS_KEY_SECRET)

    @property
    def directory(self) -> Path:
        """Where the files of the scenario are."""
        return self.workload.directory

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the sidecar."""
        return self.workload.environ

    def put(self, path: str, value: Any) -> None:
        """Set or remove a key of the configuration below the profile, or of the whole file if `path` begins with /."""
        *names, last = path.lstrip("/").split(".")
        at = self.config if path.startswith("/") else self.config["profiles"]["default"]
        for name in names:
            at = at[int(name)] if isinstance(at, list) else at.setdefault(name, {})
        if value is REMOVED:
            at.pop(last, None)
        else:
            at[last] = value

    def value(self, path: str) -> Any:
        """Return the value of a key, or REMOVED without one."""
        found: Any = self.config if path.startswith("/") else self.config["profiles"]["default"]
        for name in path.lstrip("/").split("."):
            found = found.get(name, REMOVED) if isinstance(found, dict) else REMOVED
        return found

    def world(self, **changes: Any) -> None:
        """Replace parts of the emulated cloud."""
        emulator = self.workload.emulator
        emulator.world = replace(emulator.world, **changes)

    async def steps(self) -> list[Step]:
        """Walk once, with a new process's memory."""
        path = self._write()
        target = Target(
            path,
            self.environ,
            "host-1",
            self.caller,
            trust_policy=self._trust_policy() if self.policy_file else None,
            client_environ=None if self.own_environment else self.client,
            clocks=self.clocks,
            transport=lambda _route: self.cloud,
            status=lambda _host, _port: self._status(path),
            default_path=self.directory / "absent.json",
            ram=self.ram,
            admin=self._admin,
            connects=lambda host, port: (host, port) in self.listening,
            in_use=lambda _host, port: port in self.taken,
            is_sidecar=lambda _host, port: port in self.sidecars,
            chain=self.presented,
        )
        return [step async for step in Walk(target).steps()]

    def _write(self) -> str | None:
        if self.path is None:
            return None
        path = self.directory / self.path
        if self.path == "config.json":
            path.write_text(json.dumps(self.config) if self.text is None else self.text)
        return str(path)

    def _trust_policy(self) -> str:
        if self.trust_policy is not None:
            return self.trust_policy
        return json.dumps(self.workload.emulator.world.roles[role_arn("default")].trust_policy)

    def _admin(self, _path: str) -> Mapping[str, Any]:
        if self.admin is not None:
            raise self.admin
        return self._status(str(self.directory / "config.json"))

    def _status(self, path: str | None) -> Mapping[str, Any]:
        if self.foreign:
            raise Unreachable("127.0.0.1:7118: another program listens there", error_code="IDS-502")
        if not self.running and not self.state:
            raise Unreachable("127.0.0.1:7118: connection refused", cure=IS_IT_RUNNING)
        return {
            "config": path or "environment",
            "config_error": None,
            "restart_needed": [],
            "profiles": [self.state],
            **self.running,
        }


def states(steps: list[Step]) -> dict[str, str]:
    """Return the state of each step; of several endpoints, that of the last one."""
    return {step.name: step.state for step in steps}
