"""Fixtures of the sealed cache: a cache on a real directory, and the file of one entry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.config.loader import Loaded
from app.config.settings import Profile
from app.store.sealed_cache import SealedCache

from .sessions import KEY, SESSION


@pytest.fixture
def profile(loaded: Callable[..., Loaded]) -> Profile:
    """The profile `default` of the default configuration."""
    return loaded().settings.profiles["default"]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The configured directory of the cache, which does not exist yet."""
    return tmp_path / "cache"


@pytest.fixture
def cache(directory: Path) -> SealedCache:
    """A cache without entries."""
    return SealedCache(str(directory), lambda: KEY)


@pytest.fixture
def entry(cache: SealedCache, profile: Profile, directory: Path) -> Path:
    """The file of an entry with `SESSION`."""
    cache.write("default", profile, SESSION)
    return directory / "idaas-sidecar" / "default.sealed"
