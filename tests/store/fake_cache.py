"""A cache in memory behind a session store, for tests: it raises errors, and hangs as a disk does."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, field

from app.config.settings import Profile
from app.core.errors import Refused
from app.core.events import Event, Refreshed, StoreFailed
from app.core.values import Credentials
from app.store.session_store import SessionStore

REFUSED = Refused("no", status=403, code="NoPermission", withdrawn=True)
"""The refusal after which a session is dropped."""


def session(number: int) -> Credentials:
    """Return the session `number`."""
    return Credentials(f"STS.{number}", "secret", "token", 1_767_323_045.0, 1_767_326_645.0)


def refreshed(number: int, profile: str = "default") -> Refreshed:
    """Return the event that a profile has the session `number`."""
    return Refreshed(profile, session(number), 0.0, 0.0)


@dataclass
class FakeCache:
    """A cache in memory that raises the errors of `errors`, and hangs while `unblocked` is not set."""

    entries: dict[str, Credentials] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    """By the operation (`read`, `write`, `remove`, `tidy`), or by operation and profile (`read p2`)."""
    unblocked: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    """Set by the first operation."""

    writes: int = 0
    removals: int = 0

    def __post_init__(self) -> None:
        self.unblocked.set()

    def read(self, name: str, _profile: Profile) -> Credentials | None:
        """Return the entry of a profile."""
        self._raise_error("read", name)
        return self.entries.get(name)

    def write(self, name: str, _profile: Profile, credentials: Credentials) -> None:
        """Replace the entry of a profile."""
        self._raise_error("write", name)
        self.writes += 1
        self.entries[name] = credentials

    def remove(self, name: str) -> None:
        """Remove the entry of a profile."""
        self._raise_error("remove", name)
        self.removals += 1
        self.entries.pop(name, None)

    def tidy(self, names: Collection[str]) -> None:
        """Remove all entries except those of `names`."""
        self._raise_error("tidy")
        self.entries = {name: entry for name, entry in self.entries.items() if name in names}

    def _raise_error(self, operation: str, name: str = "") -> None:
        self.begun.set()
        self.unblocked.wait(600)
        error = self.errors.get(f"{operation} {name}") or self.errors.get(operation)
        if error is not None:
            raise error


def messages(events: list[Event]) -> list[tuple[str, str]]:
    """Return profile and message of each reported problem."""
    return [(event.profile, event.message) for event in events if isinstance(event, StoreFailed)]


async def settle(store: SessionStore) -> None:
    """Wait until all earlier operations have ended: operations run in order."""
    await store.restore([])
