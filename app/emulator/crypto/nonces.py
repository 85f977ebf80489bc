"""Names that may be used once, such as the `jti` of an assertion."""


class SeenOnce:
    """
    Remembers every name until it expires, and no more than `limit` of them: the oldest are forgotten first.

    Nobody who stays below `limit` names per lifetime can use one twice.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._until: dict[tuple[str, ...], float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def first_time(self, name: tuple[str, ...], *, until: float, now: float) -> bool:
        """Whether `name` is new; if so, it is not until `until`."""
        if self._until.get(name, 0) > now:
            return False
        self._until[name] = until
        self._forget(now)
        return True

    def _forget(self, now: float) -> None:
        # Insertion order is nearly expiry order, so looking at the front only keeps this cheap and the rest a
        # bit longer.
        while self._until and (len(self._until) > self._limit or next(iter(self._until.values())) <= now):
            del self._until[next(iter(self._until))]
