"""What happens to a sidecar in a soak: faults of the cloud, outages, rotations, reloads, orders; drawn by chance."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.e2e.processes import EmulatedCloud, RunningSidecar
from tests.e2e.wire import admin_request
from tests.e2e.cloud import emulator_admin

from .soak_setup import LIFE, PROFILES, SECRET_FILE, SECRETS, configuration

FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "token", "status": 503},
    {"kind": "token", "status": 429, "headers": {"retry-after": "1"}},
    {"kind": "token", "code": "invalid_client"},
    {"kind": "sts", "status": 500},
    {"kind": "sts", "code": "Throttling.User"},
    {"kind": "sts", "code": "AuthenticationFail.OIDCToken.Expired"},
    {"kind": "sts", "expiration_offset": -5},
    {"kind": "sts", "delay": 2},
    {"kind": "*", "drop": True},
)
OUTAGES: tuple[dict[str, Any], ...] = ({"drop": True}, {"status": 503}, {"delay": 60})


class Weather:
    """Changes now and then; `happened` counts what did."""

    def __init__(self, cloud: EmulatedCloud, sidecar: RunningSidecar, home: Path, chance: random.Random) -> None:
        self._cloud = cloud
        self._sidecar = sidecar
        self._home = home
        self._chance = chance
        self._outage_ends: float | None = None
        self._rotation = 0
        self.happened: Counter[str] = Counter()

    def changes(self) -> None:
        """Called once a second."""
        if self._outage_ends is not None:
            if time.monotonic() >= self._outage_ends:
                self.clear()
            return
        what = self._chance.choice(
            (self._calm,) * 4 + (self._fault,) * 3 + (self._outage, self._rotate, self._reload, self._order, self._hup)
        )
        what()

    def clear(self) -> None:
        """Fair weather."""
        emulator_admin(self._cloud.url, "DELETE", "faults")
        emulator_admin(self._cloud.url, "DELETE", "journal")
        self._outage_ends = None

    def _calm(self) -> None:
        pass

    def _fault(self) -> None:
        self._add("fault", self._chance.choice(FAULTS))

    def _outage(self) -> None:
        """Half of them shorter than a session, half of them longer."""
        longer = self._chance.random() < 0.5
        self._add("long outage" if longer else "outage", {"kind": "*", "times": None, **self._chance.choice(OUTAGES)})
        self._outage_ends = time.monotonic() + (LIFE + 6 if longer else self._chance.uniform(2, LIFE / 3))

    def _rotate(self) -> None:
        self.happened["rotation"] += 1
        self._rotation += 1
        draft = self._home / "draft-secret"
        draft.write_text(SECRETS[self._rotation % 2])
        draft.chmod(0o600)
        draft.rename(self._home / SECRET_FILE)

    def _reload(self) -> None:
        self.happened["reload"] += 1
        level = self._chance.choice(("info", "warning"))
        settings = configuration(self._cloud, self._home, seconds=self._chance.randrange(900, 3600), level=level)
        draft = self._sidecar.config_path.with_name("draft-config")
        draft.write_text(json.dumps(settings) if self._chance.random() < 0.8 else "{")
        draft.rename(self._sidecar.config_path)

    def _order(self) -> None:
        self.happened["order"] += 1
        admin_request(str(self._home / "admin.sock"), "POST", f"/refresh/{self._chance.choice(PROFILES)}")

    def _hup(self) -> None:
        self.happened["SIGHUP"] += 1
        self._sidecar.process.send(signal.SIGHUP)

    def _add(self, name: str, members: dict[str, Any]) -> None:
        self.happened[name] += 1
        emulator_admin(self._cloud.url, "POST", "faults", members)
