"""The error of a profile's last attempt: what is kept of it until the next attempt, and what clients may read of it."""

from __future__ import annotations

from ..core.errors import SidecarError


class UnexpectedError(Exception):
    """The type of an error of a library, as text. The error's own text may quote a secret."""


def kept(error: Exception) -> Exception:
    """
    Return a copy of the error without traceback and causes. Only the type is kept of an error of a library.

    The frames of the traceback would keep an answer's body or a token in memory. Without reference cycles, they are
    freed with the original at once; an idle process rarely collects garbage.
    """
    if isinstance(error, SidecarError):
        return error.with_members()
    return UnexpectedError(f"internal error ({type(error).__name__})")


def public_words(error: Exception) -> str:
    """Return a kept error's text for clients. Only the log, the status and commands show the cloud's own message."""
    return error.own_words if isinstance(error, SidecarError) else str(error)
