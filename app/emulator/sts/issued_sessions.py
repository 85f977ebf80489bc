"""The sessions that STS has opened: who signs with which key, until when."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..http.request import Asked
from .session import credentials

LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Session:
    """One open session; `principal` is the ARN of whoever uses it."""

    principal: str
    secret: str = field(repr=False)
    token: str = field(repr=False)
    expires_at: float


class Sessions:
    """Opens sessions and remembers the last ten thousand of them."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._open: dict[str, Session] = {}

    def open(self, asked: Asked, fields: Mapping[str, str], principal: str) -> dict[str, str]:
        """New credentials for `principal`, in the cloud's spelling; `fields` may hold DurationSeconds."""
        found, expires_at = credentials(asked, fields, self._random)
        self._open[found["AccessKeyId"]] = Session(
            principal, found["AccessKeySecret"], found["SecurityToken"], expires_at
        )
        while len(self._open) > LIMIT:
            del self._open[next(iter(self._open))]
        return found

    def find(self, access_key_id: str) -> Session | None:
        """The session of that key, also when it has ended."""
        return self._open.get(access_key_id)
