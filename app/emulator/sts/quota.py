"""The quota of STS calls per account and second."""

from collections import Counter


class Quota:
    """Counts the calls of each account in the current second. Earlier seconds are discarded."""

    def __init__(self) -> None:
        self._second = 0
        self._calls: Counter[str] = Counter()

    def exceeded(self, account: str, *, limit: int | None, now: float) -> bool:
        """Count one call, and return whether it exceeds `limit`. A `limit` of None means no limit."""
        if int(now) != self._second:
            self._second = int(now)
            self._calls.clear()
        self._calls[account] += 1
        return limit is not None and self._calls[account] > limit
