"""Errors of a store that cannot keep, return or remove a session. Each message is a sentence without a secret."""

from __future__ import annotations


class StoreError(Exception):
    """The store as a whole cannot be used. `error_code`: its entry in the errors index."""

    error_code = "IDS-602"


class EntryError(StoreError):
    """One profile's entry or file cannot be used; those of other profiles may be usable."""
