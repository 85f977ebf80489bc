"""The sessions that STS issued, by AccessKey id: principal, secret, security token and expiration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..http.request import Request
from .session import new_credentials

MAX_SESSIONS = 10_000


@dataclass(frozen=True, slots=True)
class Session:
    """An issued session. `principal` is the ARN of the session's user; `expires_at` is Unix seconds."""

    principal: str
    secret: str = field(repr=False)
    token: str = field(repr=False)
    expires_at: float


class IssuedSessions:
    """Issues sessions and stores the last `MAX_SESSIONS` of them."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._sessions: dict[str, Session] = {}

    def issue(self, request: Request, fields: Mapping[str, str], principal: str) -> dict[str, str]:
        """Return new credentials for `principal`, as STS names their members. `fields` may contain DurationSeconds."""
        credentials, expires_at = new_credentials(request, fields, self._random)
        self._sessions[credentials["AccessKeyId"]] = Session(
            principal, credentials["AccessKeySecret"], credentials["SecurityToken"], expires_at
        )
        while len(self._sessions) > MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return credentials

    def find(self, access_key_id: str) -> Session | None:
        """Return the session with this AccessKey id, expired or not."""
        return self._sessions.get(access_key_id)
