"""The readers of the secrets that configuration keys outside the identities name."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.errors import ConfigError
from ..core.values import Secret
from ..system import secrets
from .settings import Cache, PathToken

SHORTEST_CACHE_KEY = 32
"""The minimum length of a cache key in characters: 128 bits in hexadecimal."""


def path_token(configured: PathToken, environ: Mapping[str, str]) -> Secret:
    """Return the reader of the path token: 16 or more characters of the URL-safe alphabet."""
    read = secrets.one_of(
        environ,
        name=configured.env_var_name,
        path=configured.file,
        place="access.pathToken",
        keys=(PathToken.key("env_var_name"), PathToken.key("file")),
    )

    def checked() -> str:
        value = read()
        if not secrets.fits_path(value):
            raise ConfigError(
                f"access.pathToken: the secret must be {secrets.SHORTEST_PATH_TOKEN} or more of A-Z a-z 0-9 - _",
                error_code="IDS-105",
            )
        return value

    return checked


def cache_key(cache: Cache, environ: Mapping[str, str]) -> Secret:
    """Return the reader of the cache's key: 32 or more characters, as `openssl rand -hex 32` prints them."""
    read = secrets.one_of(
        environ,
        name=cache.key_env_var_name,
        path=cache.key_file,
        place="cache",
        keys=(Cache.key("key_env_var_name"), Cache.key("key_file")),
    )

    def checked() -> str:
        value = read()
        if len(value) < SHORTEST_CACHE_KEY:
            raise ConfigError(
                f"cache: the key has {len(value)} characters; it must have {SHORTEST_CACHE_KEY} or more",
                error_code="IDS-105",
            )
        return value

    return checked
