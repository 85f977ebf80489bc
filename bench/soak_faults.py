"""The random events of a soak: faults and outages of the cloud, rotations, reloads and admin commands."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.e2e.cloud import emulator_admin
from tests.e2e.processes import EmulatedCloud, RunningSidecar
from tests.e2e.wire import admin_request

from .soak_setup import LIFE, PROFILES, SECRET_FILE, SECRETS, configuration

FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "token", "status": 503},
    {"kind": "token", "status": 429, "headers": {"retry-after": "1"}},
    {"kind": "token", "code": "invalid_client"},
    {"kind": "sts", "status": 500},
    {"kind": "sts", "code": "Throttling.User"},
    {"kind": "sts", "code": "AuthenticationFail.OIDCToken.Expired"},
    {"kind": "sts", "expirationOffset": -5},
    {"kind": "sts", "delay": 2},
    {"kind": "*", "drop": True},
)
OUTAGES: tuple[dict[str, Any], ...] = ({"drop": True}, {"status": 503}, {"delay": 60})


class FaultInjector:
    """Injects events. `counts` has the number of events by kind."""

    def __init__(self, cloud: EmulatedCloud, sidecar: RunningSidecar, home: Path, rng: random.Random) -> None:
        self._cloud = cloud
        self._sidecar = sidecar
        self._home = home
        self._rng = rng
        self._outage_ends: float | None = None
        self._rotation = 0
        self.counts: Counter[str] = Counter()

    def step(self) -> None:
        """Inject an event, or none. Called once per second."""
        if self._outage_ends is not None:
            if time.monotonic() >= self._outage_ends:
                self.clear()
            return
        event = self._rng.choice(
            (self._nothing,) * 4
            + (self._fault,) * 3
            + (self._outage, self._rotate, self._reload, self._refresh, self._sighup)
        )
        event()

    def clear(self) -> None:
        """Remove all faults."""
        emulator_admin(self._cloud.url, "DELETE", "faults")
        emulator_admin(self._cloud.url, "DELETE", "journal")
        self._outage_ends = None

    def _nothing(self) -> None:
        pass

    def _fault(self) -> None:
        self._add("fault", self._rng.choice(FAULTS))

    def _outage(self) -> None:
        """Begin an outage. Half of the outages are shorter than a session, half of them longer."""
        longer = self._rng.random() < 0.5
        self._add("long outage" if longer else "outage", {"kind": "*", "times": None, **self._rng.choice(OUTAGES)})
        self._outage_ends = time.monotonic() + (LIFE + 6 if longer else self._rng.uniform(2, LIFE / 3))

    def _rotate(self) -> None:
        self.counts["rotation"] += 1
        self._rotation += 1
        draft = self._home / "draft-secret"
        draft.write_text(SECRETS[self._rotation % 2])
        draft.chmod(0o600)
        draft.rename(self._home / SECRET_FILE)

    def _reload(self) -> None:
        self.counts["reload"] += 1
        level = self._rng.choice(("info", "warning"))
        settings = configuration(self._cloud, self._home, seconds=self._rng.randrange(900, 3600), level=level)
        draft = self._sidecar.config_path.with_name("draft-config")
        draft.write_text(json.dumps(settings) if self._rng.random() < 0.8 else "{")
        draft.rename(self._sidecar.config_path)

    def _refresh(self) -> None:
        self.counts["refresh"] += 1
        admin_request(str(self._home / "admin.sock"), "POST", f"/refresh/{self._rng.choice(PROFILES)}")

    def _sighup(self) -> None:
        self.counts["SIGHUP"] += 1
        self._sidecar.process.send(signal.SIGHUP)

    def _add(self, name: str, members: dict[str, Any]) -> None:
        self.counts[name] += 1
        emulator_admin(self._cloud.url, "POST", "faults", members)
