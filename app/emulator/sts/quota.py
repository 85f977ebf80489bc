"""How many calls an account may make in a second."""

from collections import Counter


class Quota:
    """Counts the calls of the current second, by account; remembers nothing else."""

    def __init__(self) -> None:
        self._second = 0
        self._calls: Counter[str] = Counter()

    def exceeded(self, account: str, *, limit: int | None, now: float) -> bool:
        """Count one call; whether it is one too many. A `limit` of None is none."""
        if int(now) != self._second:
            self._second = int(now)
            self._calls.clear()
        self._calls[account] += 1
        return limit is not None and self._calls[account] > limit
