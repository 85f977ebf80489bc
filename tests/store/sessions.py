"""Sessions and the key of the sealed cache, and checks of its files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from app.config.settings import Profile
from app.core.values import Credentials
from app.store.errors import EntryError
from app.store.sealed_cache import SealedCache

KEY = "0123456789abcdef" * 4
SESSION = Credentials("STS.key-1", "canary-secret", "canary-token", 1_767_323_045.0, 1_767_326_645.0, "request-1")
OTHER_SESSION = Credentials("STS.key-2", "secret-2", "token-2", 1_767_323_100.0, 1_767_326_700.0)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="skipped: needs root, to mount and to give files away")


def mode_of(path: Path) -> int:
    """Return the permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def assert_refused(cache: SealedCache, profile: Profile, message: str, name: str = "default") -> None:
    """Assert that reading the entry fails with `message` and shows nothing of the session."""
    with pytest.raises(EntryError) as caught:
        cache.read(name, profile)

    assert message in str(caught.value)
    assert "canary" not in str(caught.value)
