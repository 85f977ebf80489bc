"""The events of a running sidecar."""

from __future__ import annotations

from typing import get_args

from app.core.events import Event, StoreFailed


def test_store_is_the_cache_by_default() -> None:
    """A failure of a store concerns the cache, unless the event says otherwise."""
    assert StoreFailed("default", "disk full").store == "cache"
    assert StoreFailed("default", "disk full", "files").store == "files"


def test_each_event_has_a_type_of_its_own() -> None:
    """Observers tell the ten events apart by their types."""
    assert len(get_args(Event)) == 10
