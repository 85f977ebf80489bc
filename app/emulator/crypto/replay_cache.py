"""Single-use identifiers: the `jti` of an assertion, the nonce of a signed request."""


class ReplayCache:
    """
    The identifiers in use, each until it expires, at most `limit` of them.

    When the cache is full, the oldest identifier is evicted. A client that stays below `limit` identifiers per
    lifetime can use none of them twice.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._expiry: dict[tuple[str, ...], float] = {}

    def __len__(self) -> int:
        return len(self._expiry)

    def add(self, identifier: tuple[str, ...], *, expires_at: float, now: float) -> bool:
        """Add `identifier` until `expires_at`. Return False if it is already in use."""
        if self._expiry.get(identifier, 0) > now:
            return False
        self._expiry[identifier] = expires_at
        self._evict(now)
        return True

    def _evict(self, now: float) -> None:
        # Insertion order is nearly expiry order. Looking at the oldest entry alone keeps this cheap; a few expired
        # entries stay a little longer.
        while self._expiry and (len(self._expiry) > self._limit or next(iter(self._expiry.values())) <= now):
            del self._expiry[next(iter(self._expiry))]
