"""
The errors that this program raises on purpose. `str()` of each contains no secret.

The text is one line. Only a ConfigError about a configuration file has several: one line for each mistake in the file.

    SidecarError
    ├── ConfigError       the configuration cannot work; the message names the thing, the place and the cure
    ├── NotThereYet       something that the configuration names is not there yet; another program may make it
    ├── Unreachable       the other side gave no usable answer; a repetition may succeed
    ├── Refused           the other side refused; a repetition cannot succeed
    └── NoCredentials     no valid credentials are held at the moment
"""

from __future__ import annotations

from .reasons import Mistake, Reason

__all__ = (
    "ConfigError",
    "Mistake",
    "NoCredentials",
    "NotThereYet",
    "Reason",
    "Refused",
    "SidecarError",
    "Unreachable",
    "code_of",
    "quoting",
)

TYPE_CHECKING = False  # `typing` takes 5 ms, and `health` needs this module
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self


def quoting(text: str, words: str) -> str:
    """Return a message followed by the other side's own words, if there are any."""
    return f'{text}; it says "{words}"' if words else text


def code_of(error: Exception) -> str:
    """Return the entry of the errors index for an error, also for one that was not raised on purpose."""
    return error.error_code if isinstance(error, SidecarError) else "IDS-901"


class SidecarError(Exception):
    """
    The base class of all errors of this program.

    `retry_after`: the seconds to wait before the next attempt, if the error says so. Most other members describe the
    failed request, for the fields of a log line; they are empty or 0 if unknown. `stage`: `token`, `exchange` or
    `chain[0]`. `cloud_message`: the other side's own message, cleaned and cut; `str()` ends with it.
    `error_code`: the failure's stable code in the errors index (`core/error_index`); `code`: the other side's code.
    `cure`: what to do, separate from `cause`; empty if only the errors index has a cure. `own_words` contains both.
    `files`: the files that an unusable configuration names. A change of a file, also of its mode, may correct it.
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

    def __init__(self, cause: str, cure: str = "") -> None:
        """Store cause and cure separately. A `cause` that is a Reason has its own cure."""
        if isinstance(cause, Reason):
            cure = cure or cause.cure
            cause = cause.cause
        super().__init__(cause)
        self.cure = cure

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
        return str(Reason(self.cause, self.cure))

    def __str__(self) -> str:
        return quoting(self.own_words, self.cloud_message)

    @property
    def quoted_cause(self) -> str:
        """The cause and the other side's words, without the cure."""
        return quoting(self.cause, self.cloud_message)

    def at(self, place: str) -> Self:
        """Return the same error with its place before the message."""
        return self.reworded(f"{place}: {self.cause}", self.cure)

    def reworded(self, cause: str, cure: str = "") -> Self:
        """Return the same error with another cause and cure, before the other side's words."""
        other = type(self).__new__(type(self), cause)
        other.__dict__.update(self.__dict__)
        other.cure = cure
        return other

    def with_members(self, **members: object) -> Self:
        """Return a copy of the error with other values of these members, such as `stage`. Text and cure stay."""
        other = type(self).__new__(type(self), self.cause)
        other.__dict__.update(self.__dict__, **members)
        return other


class ConfigError(SidecarError):
    """A configuration, or a file or variable that it names, that cannot work. `mistakes`: one line for each."""

    mistakes: tuple[Mistake, ...]

    def __init__(self, cause: str, *, cure: str = "", error_code: str = "IDS-100", variable: str = "") -> None:
        super().__init__(cause, cure)
        self.error_code = error_code
        self.mistakes = (Mistake(self.cause, error_code, self.cure, variable=variable),)

    @classmethod
    def of(cls, mistakes: Iterable[Mistake]) -> ConfigError:
        """Return one error for at least one mistake, with the code of the first one."""
        lines = tuple(mistakes)
        cure = lines[0].cure if len(lines) == 1 else ""
        error = cls("\n".join(line.cause for line in lines), cure=cure, error_code=lines[0].error_code)
        error.mistakes = lines
        return error

    @property
    def own_words(self) -> str:
        """The lines of all mistakes, each with its cure."""
        return "\n".join(self.mistakes)

    def at(self, place: str) -> Self:
        """Return the same error with its place before the first line."""
        other = super().at(place)
        other.mistakes = (self.mistakes[0].at(place), *self.mistakes[1:])
        return other

    def reworded(self, cause: str, cure: str = "") -> Self:
        """Return a copy with one mistake, which has the code of the error and the variable of the first mistake."""
        other = super().reworded(cause, cure)
        other.mistakes = (Mistake(cause, self.error_code, cure, variable=self.mistakes[0].variable),)
        return other

    @property
    def permanent(self) -> bool:
        return True


class NotThereYet(SidecarError):
    """
    Something that the configuration names is not there, or not complete: a file, a program, or an address to listen on.

    SPIRE, a Vault agent, cert-manager and kubelet write their files seconds after the start, and DHCP configures an
    address. `patience`: the seconds that the configuration permits for a start; None if unknown. `awaited`: what a
    start waits for, as the end of a sentence.
    """

    patience: float | None

    def __init__(
        self,
        cause: str,
        cure: str = "",
        *,
        error_code: str = "IDS-124",
        patience: float | None = None,
        awaited: str = "the program that writes it",
    ) -> None:
        super().__init__(cause, cure)
        self.error_code = error_code
        self.patience = patience
        self.awaited = awaited


class Unreachable(SidecarError):
    """
    No usable answer: connection failure, time-out, throttling, 5xx, or an answer that cannot be understood.

    `retry_after`: seconds that the server asked for. `throttled`: the server works, but a shared quota is used up.
    """

    def __init__(
        self,
        cause: str,
        *,
        retry_after: float | None = None,
        code: str = "",
        throttled: bool = False,
        endpoint: str = "",
        status: int = 0,
        request_id: str = "",
        cloud_message: str = "",
        error_code: str = "IDS-200",
        cure: str = "",
    ) -> None:
        super().__init__(cause, cure)
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
    A definite refusal by the other side.

    `renew_token`: only the token was refused, so a new one may be accepted. `withdrawn`: the role, or the trust in this
    workload, no longer exists. `status` 0: refused by this program, before any request.
    """

    def __init__(
        self,
        cause: str,
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
        super().__init__(cause, cure)
        self.error_code = error_code
        self.status = status
        self.code = code
        self.request_id = request_id
        self.renew_token = renew_token
        self.withdrawn = withdrawn
        self.endpoint = endpoint
        self.cloud_message = cloud_message

    @property
    def own_words(self) -> str:
        """The message without the other side's words. The cure explains the answer's code, which stands before it."""
        return f"{self.cause}: {self.cure}" if self.cure else self.cause

    @property
    def permanent(self) -> bool:
        return True


class NoCredentials(SidecarError):
    """
    No valid credentials are held.

    `retry_after`: seconds until the next attempt is due. `error_code`: that of the last attempt, if it failed.
    """

    retry_after: float

    def __init__(self, message: str, *, retry_after: float, error_code: str = "IDS-501") -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.error_code = error_code

    def at(self, place: str) -> NoCredentials:
        return NoCredentials(f"{place}: {self}", retry_after=self.retry_after, error_code=self.error_code)
