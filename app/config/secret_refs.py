"""From the keys of a configuration to the readers of the secrets, files and names that they point at."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.model import ConfigError, Secret
from ..system import secrets
from .settings import Cache, PathToken

SHORTEST_CACHE_KEY = 32
"""Characters: 128 bits in hexadecimal."""


def path_token(configured: PathToken, environ: Mapping[str, str]) -> Secret:
    """The reader of the path token, which must be 16 or more characters of the URL-safe alphabet."""
    read = secrets.one_of(
        environ,
        name=configured.env_var_name,
        path=configured.file,
        place="access.pathToken",
        keys=("envVarName", "file"),
    )

    def checked() -> str:
        value = read()
        if len(value) < 16 or not value.isascii() or not value.replace("-", "").replace("_", "").isalnum():
            raise ConfigError("access.pathToken: the secret must be 16 or more of A-Z a-z 0-9 - _")
        return value

    return checked


def cache_key(cache: Cache, environ: Mapping[str, str]) -> Secret:
    """The reader of the key that seals the cache: 32 or more characters, as `openssl rand -hex 32` prints them."""
    read = secrets.one_of(
        environ,
        name=cache.key_env_var_name,
        path=cache.key_file,
        place="cache",
        keys=("keyEnvVarName", "keyFile"),
    )

    def checked() -> str:
        value = read()
        if len(value) < SHORTEST_CACHE_KEY:
            raise ConfigError(f"cache: the key has {len(value)} characters; it must have {SHORTEST_CACHE_KEY} or more")
        return value

    return checked
