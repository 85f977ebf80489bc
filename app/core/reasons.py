"""Cause and cure of a failure or of a configuration mistake, as strings with members."""

from __future__ import annotations

from .text import code_apart

TYPE_CHECKING = False  # `typing` takes 5 ms, and `health` needs this module
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self


class Reason(str):
    """
    The reason of a failure. Its text is the cause, then the cure: one sentence for a log line or an answer.

    `cause` names what failed and where. `cure` says what to do; it is empty if only the errors index has a cure.
    """

    __slots__ = ("cause", "cure")

    cause: str
    cure: str

    def __new__(cls, cause: str, cure: str = "") -> Self:
        """Return a reason whose text is the cause and the cure."""
        made = super().__new__(cls, f"{cause}; {cure}" if cure else cause)
        made.cause = cause
        made.cure = cure
        return made

    def reworded(self, cause: str, cure: str) -> Self:
        """Return another reason of the same kind."""
        return type(self)(cause, cure)

    def mapped(self, change: Callable[[str], str]) -> Self:
        """Return a copy with `change` applied to cause and cure."""
        return self.reworded(change(self.cause), change(self.cure))

    def at(self, place: str) -> Self:
        """Return a copy with the place before the cause."""
        return self.reworded(f"{place}: {self.cause}", self.cure)


class Mistake(Reason):
    """
    One mistake of a configuration, as a line. `error_code`: its entry in the errors index.

    `variable`: the environment variable that the configuration needs and that is not set; empty for other mistakes.
    """

    __slots__ = ("error_code", "variable")

    error_code: str
    variable: str

    def __new__(cls, cause: str, error_code: str = "IDS-100", cure: str = "", *, variable: str = "") -> Self:
        """Return the line with its code."""
        made = super().__new__(cls, cause, cure)
        made.error_code = error_code
        made.variable = variable
        return made

    @classmethod
    def answered(cls, place: str, body: Mapping[str, object], status: int, error_code: str) -> Self:
        """Return the line of a sidecar's error answer at `place`. `error_code`: the code for an answer without one."""
        text, code = code_apart(str(body.get("Message", status)))
        return cls(f"{place}: {text}", code or error_code)

    def reworded(self, cause: str, cure: str) -> Self:
        """Return another line with the same code and variable."""
        return type(self)(cause, self.error_code, cure, variable=self.variable)
