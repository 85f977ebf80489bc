"""Print for how many seconds after its end the official SDK's cache returns a 20-minute token, for 200 caches."""

import json
from datetime import UTC, datetime, timedelta

from cloud_idaas.core.cache import CachedResultSupplier, RefreshResult

LIFE = timedelta(seconds=1200)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def seconds_late():
    """Return the seconds after the token's end at which the cache last returns it. The clock of the cache is fake."""
    clock = [NOW]
    end = NOW + LIFE
    # The SDK sets this for every token: a fifth of its life before its end.
    first = RefreshResult.builder("old").stale_time(end - LIFE / 5).build()
    found = iter([first, RefreshResult.builder("new").stale_time(end + LIFE).build()])
    cache = CachedResultSupplier(lambda: next(found), clock=lambda: clock[0])
    while cache.get() == "old":
        clock[0] += timedelta(seconds=10)
    return (clock[0] - timedelta(seconds=10) - end).total_seconds()


print(json.dumps([seconds_late() for _ in range(200)]))
