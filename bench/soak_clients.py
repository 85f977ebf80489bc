"""The soak's clients: raw sockets that hold each answer against the promises, and real SDKs where there are some."""

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
from tests.e2e.wire import Response, Connection, request_head
from tests.interop.clients import CLIENTS
from tests.interop.program import Program

ROLES = "/latest/meta-data/ram/security-credentials"
FOUR = ("AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration")
SDKS = ("python-sync", "node-uri", "go-uri")
GRACE = 1.0
"""Seconds: Expiration has whole ones."""


class Verdicts:
    """What all clients together saw. One lock: they are threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._best: dict[str, float] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        """Answers at credential paths by profile and status, as the sidecar's metric counts them."""
        self.by_status: Counter[int] = Counter()
        self.sdk: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.least = float("inf")

    def __str__(self) -> str:
        return f"{sum(self.by_status.values())} answers, {len(self.wrong)} wrong"

    def answered(self, profile: str, answer: Response, *, asked_at: float, counts: bool) -> None:
        """Judges one answer: whole and in the future, or 503 with nothing valid that anybody has seen."""
        with self._lock:
            self.by_status[answer.status] += 1
            if counts:
                self.counts[profile, str(answer.status)] += 1
            if answer.status == 200:
                self._whole(profile, answer)
            elif answer.status == 503:
                left = self._best.get(profile, 0.0) - asked_at
                if "retry-after" not in answer.headers or left > GRACE:
                    self._complain(f"{profile}: 503 with {left:.1f} s left of a session that was handed out")
            else:
                self._complain(f"{profile}: {answer.status} {answer.body[:100]!r}")

    def _whole(self, profile: str, answer: Response) -> None:
        body = json.loads(answer.body)
        ends = timegm(time.strptime(body["Expiration"], "%Y-%m-%dT%H:%M:%SZ"))
        if not all(body[name] for name in FOUR) or ends <= time.time() - GRACE:
            self._complain(f"{profile}: a 200 that is not whole, or has ended")
        self._best[profile] = max(ends, self._best.get(profile, 0))
        self.least = min(self.least, ends - time.time())

    def called(self, name: str, outcome: str) -> None:
        """Counts what an SDK gave."""
        with self._lock:
            self.sdk[f"{name}: {outcome}"] += 1

    def complain(self, text: str) -> None:
        """Something that should not be."""
        with self._lock:
            self._complain(text)

    def _complain(self, text: str) -> None:
        if len(self.wrong) < 100:
            self.wrong.append(text)


class Client(threading.Thread):
    """One client, until it is stopped."""

    def __init__(self, name: str, verdicts: Verdicts) -> None:
        super().__init__(name=name, daemon=True)
        self.verdicts = verdicts
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            try:
                self.call()
            except (OSError, AssertionError, ValueError) as error:
                self.verdicts.complain(f"{self.name}: {type(error).__name__}: {str(error)[:200]}")
            self._over.wait(self.pause)

    def stop(self) -> None:
        self._over.set()
        self.join(60)

    pause = 0.02

    @abstractmethod
    def call(self) -> None:
        """One call of the application's."""


class Raw(Client):
    """Raw sockets: a connection per call, a connection for many, or the metadata service with a token."""

    def __init__(self, kind: str, profile: str, base: str, verdicts: Verdicts) -> None:
        super().__init__(f"{kind} {profile}", verdicts)
        self._kind = kind
        self._profile = profile
        self._base = base

    @classmethod
    def several(cls, sidecar: RunningSidecar, verdicts: Verdicts) -> Iterator[Raw]:
        """One of each kind for each profile that is counted."""
        base = sidecar.urls["credentials"]
        for profile in ("default", "p2", "p3"):
            for kind in ("new", "kept", "metadata"):
                yield cls(kind, profile, base, verdicts)

    def call(self) -> None:
        with Connection(self._base, 30) as connection:
            for _ in range(20 if self._kind == "kept" else 1):
                if self._kind == "metadata":
                    self._by_role(connection)
                else:
                    self._ask(connection, f"/credentials/{self._profile}", counts=True)

    def _by_role(self, connection: Connection) -> None:
        connection.send(request_head("PUT", "/latest/api/token", "X-aliyun-ecs-metadata-token-ttl-seconds: 21600"))
        token = connection.read_response().body.decode()
        self._ask(connection, f"{ROLES}/{self._profile}", f"X-aliyun-ecs-metadata-token: {token}", counts=False)

    def _ask(self, connection: Connection, path: str, *lines: str, counts: bool) -> None:
        asked_at = time.time()
        connection.send(request_head("GET", path, *lines))
        self.verdicts.answered(self._profile, connection.read_response(), asked_at=asked_at, counts=counts)


class Sdk(Client):
    """A real SDK's program; it may raise while there is nothing to be had, and is only counted."""

    pause = 0.5

    def __init__(self, name: str, program: Program, verdicts: Verdicts) -> None:
        super().__init__(name, verdicts)
        self._program = program

    def call(self) -> None:
        answer = self._program.ask()
        self.verdicts.called(self.name, "raised" if "error" in answer else "keys")

    def stop(self) -> None:
        super().stop()
        self._program.__exit__(None, None, None)


def sdks(sidecar: RunningSidecar, verdicts: Verdicts, home: Path) -> Iterator[Sdk]:
    """Those of SDKS that are installed (`make interop-install`), each on the profile `sdk`."""
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
            yield Sdk(client.name, program, verdicts)
