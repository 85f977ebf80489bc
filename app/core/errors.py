"""
The errors that this program raises on purpose. `str()` of each contains no secret.

It is one line, except for a ConfigError about a configuration file: that one has a line for each mistake of the file.

    SidecarError
    ├── ConfigError       the configuration cannot work; the message names the thing, the place and the cure
    ├── Unreachable       the other side gave no usable answer; a repetition may succeed
    ├── Refused           the other side refused; a repetition cannot succeed
    └── NoCredentials     no valid credentials are held at the moment
"""

from __future__ import annotations


class SidecarError(Exception):
    """The root. `retry_after`: the seconds to wait before the next attempt, where the error says so."""

    retry_after: float | None = None

    @property
    def permanent(self) -> bool:
        """Whether a repetition cannot succeed before something is changed."""
        return False

    def at(self, place: str) -> SidecarError:
        """Return the same error with its place before the message."""
        return type(self)(f"{place}: {self}")


class ConfigError(SidecarError):
    """The configuration, or a file or variable that it names, cannot work."""

    @property
    def permanent(self) -> bool:
        return True


class Unreachable(SidecarError):
    """
    No usable answer: connection, time-out, throttling, 5xx, an answer that is not understood.

    `retry_after`: seconds that the server asked for. `throttled`: the server works, but a shared quota is used up.
    """

    def __init__(
        self, message: str, *, retry_after: float | None = None, code: str = "", throttled: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.code = code
        self.throttled = throttled

    def at(self, place: str) -> Unreachable:
        return Unreachable(f"{place}: {self}", retry_after=self.retry_after, code=self.code, throttled=self.throttled)


class Refused(SidecarError):
    """
    A definite refusal.

    `renew_token`: only the token was refused, so a new one may be accepted. `withdrawn`: the role, or the trust in this
    workload, no longer exists.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        request_id: str = "",
        renew_token: bool = False,
        withdrawn: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.renew_token = renew_token
        self.withdrawn = withdrawn

    def at(self, place: str) -> Refused:
        return Refused(
            f"{place}: {self}",
            status=self.status,
            code=self.code,
            request_id=self.request_id,
            renew_token=self.renew_token,
            withdrawn=self.withdrawn,
        )

    @property
    def permanent(self) -> bool:
        return True


class NoCredentials(SidecarError):
    """No valid credentials are held. `retry_after`: seconds until the next attempt is due."""

    retry_after: float

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    def at(self, place: str) -> NoCredentials:
        return NoCredentials(f"{place}: {self}", retry_after=self.retry_after)
