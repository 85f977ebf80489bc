"""
The errors that this program raises on purpose. `str()` of each contains no secret.

It is one line, except for a ConfigError about a configuration file: that one has a line for each mistake of the file.

    SidecarError
    ├── ConfigError       the configuration cannot work; the message names the thing, the place and the cure
    ├── NotThereYet       a file that the configuration names does not exist yet; another program may write it
    ├── Unreachable       the other side gave no usable answer; a repetition may succeed
    ├── Refused           the other side refused; a repetition cannot succeed
    └── NoCredentials     no valid credentials are held at the moment
"""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` takes 5 ms, and `health` needs this module
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self


class SidecarError(Exception):
    """
    The root.

    `retry_after`: the seconds to wait before the next attempt, where the error says so. The other members are what is
    known of the request that failed, for the fields of a log line; empty or 0 where it is not known. `stage`: `token`,
    `exchange` or `chain[0]`. `cloud_message`: the other side's own words, cleaned and cut; `str()` ends with them.
    `error_code`: the stable code of the failure in the errors index (`core/error_index`); `code` is the other side's.
    `cure`: what to do, where the failure has it apart from its cause; `own_words` has both.
    `files`: those that a configuration which cannot be used names. A change of one, also of its mode, may correct it.
    """

    error_code: str = "IDS-900"
    retry_after: float | None = None
    stage: str = ""
    endpoint: str = ""
    status: int = 0
    code: str = ""
    request_id: str = ""
    cloud_message: str = ""
    cure: str = ""
    files: frozenset[str] = frozenset()

    @property
    def permanent(self) -> bool:
        """Whether a repetition cannot succeed before something is changed."""
        return False

    @property
    def cause(self) -> str:
        """The message without the cure and without the other side's words."""
        return Exception.__str__(self)

    @property
    def own_words(self) -> str:
        """The message without the other side's words, for answers to clients."""
        return f"{self.cause}: {self.cure}" if self.cure else self.cause

    def __str__(self) -> str:
        return f'{self.own_words}; it says "{self.cloud_message}"' if self.cloud_message else self.own_words

    def at(self, place: str) -> Self:
        """Return the same error with its place before the message."""
        return self.reworded(f"{place}: {self.cause}", self.cure)

    def reworded(self, message: str, cure: str = "") -> Self:
        """Return the same error with another message and cure, before the other side's words."""
        other = type(self).__new__(type(self), message)
        other.__dict__.update(self.__dict__)
        other.cure = cure
        return other


class Mistake(str):
    """One line about a configuration. `error_code`: its entry in the errors index."""

    error_code: str

    def __new__(cls, text: str, error_code: str = "IDS-100") -> Self:
        """Return the line with its code."""
        made = super().__new__(cls, text)
        made.error_code = error_code
        return made

    def reworded(self, text: str) -> Mistake:
        """Return another line with the same code."""
        return Mistake(text, self.error_code)


class ConfigError(SidecarError):
    """The configuration, or a file or variable that it names, cannot work. `mistakes`: a line each."""

    def __init__(self, message: str, *, error_code: str = "IDS-100") -> None:
        super().__init__(message)
        self.error_code = error_code
        self.mistakes = tuple(Mistake(line, error_code) for line in message.splitlines())

    @classmethod
    def of(cls, mistakes: Iterable[Mistake]) -> ConfigError:
        """Return one error for at least one mistake, with the code of the first one."""
        lines = tuple(mistakes)
        error = cls("\n".join(lines), error_code=lines[0].error_code)
        error.mistakes = lines
        return error

    def reworded(self, message: str, cure: str = "") -> Self:
        """Return the same error with another message; each of its lines has the code of the error."""
        other = super().reworded(message, cure)
        other.mistakes = tuple(Mistake(line, self.error_code) for line in message.splitlines())
        return other

    @property
    def permanent(self) -> bool:
        return True


class NotThereYet(SidecarError):
    """
    A file that the configuration names does not exist, or is empty.

    SPIRE, a Vault agent, cert-manager and kubelet write theirs seconds after the start. `patience`: the seconds that
    the configuration gives a start; None where it is not known.
    """

    error_code = "IDS-124"
    patience: float | None = None


class Unreachable(SidecarError):
    """
    No usable answer: connection, time-out, throttling, 5xx, an answer that is not understood.

    `retry_after`: seconds that the server asked for. `throttled`: the server works, but a shared quota is used up.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        code: str = "",
        throttled: bool = False,
        endpoint: str = "",
        status: int = 0,
        request_id: str = "",
        cloud_message: str = "",
        error_code: str = "IDS-200",
    ) -> None:
        super().__init__(message)
        self.error_code = error_code
        self.retry_after = retry_after
        self.code = code
        self.throttled = throttled
        self.endpoint = endpoint
        self.status = status
        self.request_id = request_id
        self.cloud_message = cloud_message


class Refused(SidecarError):
    """
    A definite refusal.

    `renew_token`: only the token was refused, so a new one may be accepted. `withdrawn`: the role, or the trust in this
    workload, no longer exists. `status` 0: refused by this program, before any request.
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
        endpoint: str = "",
        cloud_message: str = "",
        error_code: str = "IDS-300",
        cure: str = "",
    ) -> None:
        super().__init__(message)
        self.cure = cure
        self.error_code = error_code
        self.status = status
        self.code = code
        self.request_id = request_id
        self.renew_token = renew_token
        self.withdrawn = withdrawn
        self.endpoint = endpoint
        self.cloud_message = cloud_message

    @property
    def permanent(self) -> bool:
        return True


class NoCredentials(SidecarError):
    """No valid credentials are held. `retry_after`: seconds until the next attempt is due."""

    error_code = "IDS-501"
    retry_after: float

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    def at(self, place: str) -> NoCredentials:
        return NoCredentials(f"{place}: {self}", retry_after=self.retry_after)
