"""What a client's requests need beside the client: a sender, the time, and facts about the server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..wire.request import Request
from ..wire.response import Outcome, Response

Send = Callable[[Request, str], Outcome]
"""Send a request for a purpose. Equal requests with different purposes do not share a response."""


@dataclass(frozen=True, slots=True)
class Context:
    """
    What running a client's requests needs beside the client.

    `seconds_left` and `session_seconds` are those of the session, as `session_times` reads them. `error` is a response
    to a path that does not exist, for the clients that decide by the body.
    """

    send: Send
    now: float
    seconds_left: float | None = None
    session_seconds: float | None = None
    role: str = "default"
    error: Response | None = None
    tokens_required: bool = False
