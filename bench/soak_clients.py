"""The clients of the soak: raw sockets that check each response against the promises, and installed real SDKs."""

from __future__ import annotations

import json
import os
import threading
import time
from abc import abstractmethod
from calendar import timegm
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.processes import RunningSidecar, environment
from tests.e2e.wire import Connection, Response, request_head
from tests.interop.clients import CLIENTS
from tests.interop.program import Program

ROLES = "/latest/meta-data/ram/security-credentials"
MEMBERS = ("AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration")
SDKS = ("python-sync", "node-uri", "go-uri")
GRACE = 1.0
"""Seconds of tolerance, because Expiration has whole seconds."""


class Checks:
    """The results of all clients. One lock, because the clients are threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest_end: dict[str, float] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        """Responses at credential paths by profile and status, as the sidecar's metric counts them."""
        self.by_status: Counter[int] = Counter()
        self.sdk: Counter[str] = Counter()
        self.problems: list[str] = []
        self.shortest_life = float("inf")

    def __str__(self) -> str:
        return f"{sum(self.by_status.values())} responses, {len(self.problems)} problems"

    def check(self, profile: str, response: Response, *, sent_at: float, counts: bool) -> None:
        """Check a response: a 200 is complete and not expired; at a 503 no client has seen a session that is valid."""
        with self._lock:
            self.by_status[response.status] += 1
            if counts:
                self.counts[profile, str(response.status)] += 1
            if response.status == 200:
                self._check_session(profile, response)
            elif response.status == 503:
                remaining = self._latest_end.get(profile, 0.0) - sent_at
                if "retry-after" not in response.headers or remaining > GRACE:
                    self._report(f"{profile}: 503 although a served session has {remaining:.1f} s left")
            else:
                self._report(f"{profile}: {response.status} {response.body[:100]!r}")

    def _check_session(self, profile: str, response: Response) -> None:
        body = json.loads(response.body)
        expires_at = timegm(time.strptime(body["Expiration"], "%Y-%m-%dT%H:%M:%SZ"))
        if not all(body[name] for name in MEMBERS) or expires_at <= time.time() - GRACE:
            self._report(f"{profile}: a 200 that is incomplete or has expired")
        self._latest_end[profile] = max(expires_at, self._latest_end.get(profile, 0))
        self.shortest_life = min(self.shortest_life, expires_at - time.time())

    def called(self, name: str, outcome: str) -> None:
        """Count the result of an SDK."""
        with self._lock:
            self.sdk[f"{name}: {outcome}"] += 1

    def report(self, text: str) -> None:
        """Record a problem."""
        with self._lock:
            self._report(text)

    def _report(self, text: str) -> None:
        if len(self.problems) < 100:
            self.problems.append(text)


class Client(threading.Thread):
    """A client that runs until it is stopped."""

    def __init__(self, name: str, checks: Checks) -> None:
        super().__init__(name=name, daemon=True)
        self.checks = checks
        self._stopped = threading.Event()

    def run(self) -> None:
        """Call until the client is stopped."""
        while not self._stopped.is_set():
            try:
                self.call()
            except (OSError, AssertionError, ValueError) as error:
                self.checks.report(f"{self.name}: {type(error).__name__}: {str(error)[:200]}")
            self._stopped.wait(self.pause)

    def stop(self) -> None:
        """Stop the client and wait for it."""
        self._stopped.set()
        self.join(60)

    pause = 0.02

    @abstractmethod
    def call(self) -> None:
        """Make one call of the application."""


class Raw(Client):
    """Raw sockets: one connection per call, one for many calls, or the metadata service with a session token."""

    def __init__(self, kind: str, profile: str, base: str, checks: Checks) -> None:
        super().__init__(f"{kind} {profile}", checks)
        self._kind = kind
        self._profile = profile
        self._base = base

    @classmethod
    def several(cls, sidecar: RunningSidecar, checks: Checks) -> Iterator[Raw]:
        """Yield a client of each kind for each profile whose responses are counted."""
        base = sidecar.urls["credentials"]
        for profile in ("default", "p2", "p3"):
            for kind in ("new", "kept", "metadata"):
                yield cls(kind, profile, base, checks)

    def call(self) -> None:
        """Send one request, or twenty on a kept connection."""
        with Connection(self._base, 30) as connection:
            for _ in range(20 if self._kind == "kept" else 1):
                if self._kind == "metadata":
                    self._by_role(connection)
                else:
                    self._fetch(connection, f"/credentials/{self._profile}", counts=True)

    def _by_role(self, connection: Connection) -> None:
        connection.send(request_head("PUT", "/latest/api/token", "X-aliyun-ecs-metadata-token-ttl-seconds: 21600"))
        token = connection.read_response().body.decode()
        self._fetch(connection, f"{ROLES}/{self._profile}", f"X-aliyun-ecs-metadata-token: {token}", counts=False)

    def _fetch(self, connection: Connection, path: str, *lines: str, counts: bool) -> None:
        sent_at = time.time()
        connection.send(request_head("GET", path, *lines))
        self.checks.check(self._profile, connection.read_response(), sent_at=sent_at, counts=counts)


class Sdk(Client):
    """The program of a real SDK. It may fail while there is no session; its results are only counted."""

    pause = 0.5

    def __init__(self, name: str, program: Program, checks: Checks) -> None:
        super().__init__(name, checks)
        self._program = program

    def call(self) -> None:
        """Call the SDK once."""
        result = self._program.call()
        self.checks.called(self.name, "error" if "error" in result else "credentials")

    def stop(self) -> None:
        """Stop the client and its program."""
        super().stop()
        self._program.__exit__(None, None, None)


def sdks(sidecar: RunningSidecar, checks: Checks, home: Path) -> Iterator[Sdk]:
    """Yield the clients of SDKS that are installed (`make interop-install`), each with the profile `sdk`."""
    uri = f"{sidecar.urls['credentials']}/credentials/sdk"
    for client in CLIENTS:
        if client.name in SDKS and client.kit.missing is None:
            variables = {
                **environment(home),
                **client.kit.environment,
                **client.environment,
                "PATH": os.environ["PATH"],
            }
            program = Program([*client.kit.start(client.program), uri], variables, home / f"{client.name}.log")
            yield Sdk(client.name, program, checks)
