"""One profile as the listeners serve it: the rule for callers, and the response with the credentials."""

from __future__ import annotations

from ...core.clocks import Clocks
from ...core.errors import NoCredentials
from ...core.formats import aws_document, uri_document
from ...core.values import Credentials
from ..callers import CallerRule
from ..responses import NOT_FOUND, Response, response, unavailable
from ..source import HeldSession, Source

MOST_USERS = 256
"""The most users per session for whom the audit writes a line."""


class CredentialEndpoint:
    """One profile's credentials as a response, built once per session. Only `refreshed` waits."""

    __slots__ = ("_clocks", "_held", "_response", "_used_by", "callers", "source")

    def __init__(self, source: Source, clocks: Clocks, callers: CallerRule | None = None) -> None:
        self.source = source
        self.callers = callers
        self._clocks = clocks
        self._held: HeldSession | None = None
        self._response = NOT_FOUND
        self._used_by: frozenset[int | None] = frozenset()  # shared: an empty set per profile takes 216 bytes

    def current(self) -> tuple[Response, bool] | None:
        """
        Return the response with the credentials, or None if no valid session is held.

        The second value is true if the session is below the horizon: a reader sees less remaining lifetime than promise
        2 of RELIABILITY.md says, although the cloud answers.
        """
        held = self.source.held
        if held is None or (left := held.left(self._clocks)) <= 0:
            self._held, self._response = None, NOT_FOUND  # an expired secret is not kept in memory
            return None
        if held is not self._held:
            self._response = response(200, uri_document(held.credentials))
            self._held = held
            self._used_by = frozenset()
        return self._response, left < held.promised and self.source.healthy

    def aws_response(self) -> Response:
        """Return the session as the AWS SDKs read it. Call it after `current` has returned a response."""
        # Built for each request, because a client of this format requests each session once.
        return response(200, aws_document(self._held.credentials).encode()) if self._held is not None else NOT_FOUND

    def first_use_by(self, uid: int | None) -> Credentials | None:
        """Return the session's credentials if `uid` (None: unknown) receives them for the first time, else None."""
        if uid in self._used_by or len(self._used_by) == MOST_USERS or self._held is None:
            return None
        self._used_by |= {uid}
        return self._held.credentials

    async def refreshed(self) -> None:
        """Wait for the refresh under way. If the session has expired and no refresh has started, start one."""
        self.source.overdue()  # the machine slept, or its clock was set: the next refresh may be far away
        await self.source.settled()

    def unavailable(self) -> Response:
        """Return a 503 response with the reason why there are no credentials."""
        try:
            self.source.credentials()
        except NoCredentials as error:
            return unavailable(str(error), error.retry_after or 1.0, error.error_code)
        return unavailable("the credentials have just arrived: request them again", 1.0, "IDS-501")
