"""A profile's credentials as the handlers see them, in the state that a test gives them."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.core.clocks import Clocks
from app.core.errors import NoCredentials
from app.core.values import Credentials, State, Status


def session(number: int = 1) -> Credentials:
    """Return the session `number`."""
    return Credentials(f"STS.{number}", "secret", "token", 1_767_323_045.0, 1_767_326_645.0)


@dataclass
class FakeSession:
    """A session with `remaining` seconds left."""

    credentials: Credentials
    remaining: float = 3_600.0
    promised: float = 1_800.0

    def left(self, _clocks: Clocks) -> float:
        """Return the seconds left."""
        return self.remaining


@dataclass
class FakeSource:
    """The source of one profile. `calls` has the names of the methods that start something or wait."""

    profile: str = "default"
    held: FakeSession | None = None
    healthy: bool = True
    error: NoCredentials | None = None
    required: bool = True
    state: State = "fresh"
    last_error: str | None = None
    calls: list[str] = field(default_factory=list)

    @property
    def status(self) -> Status:
        """The status of the profile."""
        return Status(self.profile, self.required, self.state, None, 0.0, None, 0, self.last_error)

    def credentials(self) -> Credentials:
        """Return the held credentials; raise `error`, if there is one."""
        if self.error is not None:
            raise self.error
        assert self.held is not None
        return self.held.credentials

    def overdue(self) -> bool:
        """Record the call."""
        self.calls.append("overdue")
        return True

    async def settled(self) -> None:
        """Record the call."""
        self.calls.append("settled")
