"""Limits on the requests and seconds that one check may take."""

from __future__ import annotations

import time
from collections.abc import Callable

MAX_REQUESTS = 150
MAX_SECONDS = 120.0
"""Seconds for all requests together. A server that is slow on each request does not hold up the check any longer."""


class BudgetExhausted(Exception):
    """The check has reached its limit: the request is not sent, and what depends on it stays unknown."""


class Budget:
    """The requests and seconds that one check may still take from its servers."""

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.monotonic,
        max_requests: int = MAX_REQUESTS,
        max_seconds: float = MAX_SECONDS,
    ) -> None:
        self.now = now
        self._max_requests = max_requests
        self._began = now()
        self._ends = self._began + max_seconds
        self.requests = 0

    @property
    def seconds(self) -> float:
        """Seconds since the check began."""
        return self.now() - self._began

    def take(self) -> None:
        """Count one more request. Raises BudgetExhausted if the limit of requests or of seconds is reached."""
        if self.requests >= self._max_requests or self.now() >= self._ends:
            raise BudgetExhausted(f"limit reached: {self.requests} requests in {self.seconds:.0f} s")
        self.requests += 1
