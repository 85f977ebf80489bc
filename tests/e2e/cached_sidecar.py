"""A sidecar with an encrypted credential cache: its configuration, its cache entry, and SIGKILL."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path
from typing import Any

from app.config.loader import load
from app.core.values import Credentials
from app.store.sealed_cache import SealedCache

from .cloud import ENV, QUICK_RETRIES, config
from .processes import (
    EmulatedCloud,
    RunningSidecar,
)

KEY = "0123456789abcdef" * 4


CACHE_ENV = {"CACHE_KEY": KEY, **ENV}


def settings(cloud: EmulatedCloud, home: Path, **changes: Any) -> dict[str, Any]:
    """Return a configuration with a cache below `home`."""
    cache = {"directory": str(home / "cache"), "keyEnvVarName": "CACHE_KEY"}
    return config(cloud, cache=cache, startup={"gate": "listening"}, refresh=QUICK_RETRIES, **changes)


def kill(sidecar: RunningSidecar) -> None:
    """Kill the sidecar with SIGKILL and wait for its end."""
    sidecar.process.send(signal.SIGKILL)
    sidecar.process.wait()


def entry(home: Path, profile: str = "default") -> Path:
    """Return the path of a profile's cache entry."""
    return home / "cache" / "idaas-sidecar" / f"{profile}.sealed"


def cached(sidecar: RunningSidecar) -> Credentials | None:
    """Return the session of the cache entry on the disk, or None."""
    loaded = load(str(sidecar.config_path), CACHE_ENV, hostname=socket.gethostname(), now=time.time)
    cache = SealedCache(str(loaded.settings.cache.directory), lambda: KEY)
    return cache.read("default", loaded.settings.profiles["default"])


def cached_key(sidecar: RunningSidecar) -> str | None:
    """Return the AccessKeyId of the cache entry on the disk, or None."""
    credentials = cached(sidecar)
    return credentials.access_key_id if credentials is not None else None
