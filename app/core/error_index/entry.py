"""One entry of the errors index."""

from __future__ import annotations

from typing import Literal

from ..record import Record

Effect = Literal["refused", "renew_token", "withdrawn", "transient"]
"""
The effect of an error code on the next attempt.

`refused`: a repetition cannot succeed. `renew_token`: only the token was refused; a new one may be accepted.
`withdrawn`: the role, or the trust in this workload, no longer exists. `transient`: a repetition may succeed.
"""


class Entry(Record, frozen=True):
    """
    The meaning of one stable code, its causes, and its cure.

    `seen`: codes of servers with the same meaning. `words`: parts of a server's message that identify the cause,
    because some codes stand for several causes. Each part is stated with the server that writes it.
    """

    code: str
    meaning: str
    cause: str = ""
    cure: str = ""
    effect: Effect = "refused"
    seen: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
