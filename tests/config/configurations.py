"""Configurations with one changed part, and the error that a configuration is refused with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.config.loader import Loaded
from app.core.errors import ConfigError

from ..conftest import configuration, exchange, identity

Load = Callable[..., Loaded]
EXAMPLE = Path(__file__).parents[2] / "config.example.json"
SDK_FILE = identity(authnConfiguration={"authn_method": "CLIENT_SECRET_BASIC", "client_secret_env_var_name": "S"})
"""The IDaaS SDK's client-config.json, partly in snake_case, which the SDK accepts too."""

SECRET = "Tr0ub4dor"
"""A secret that no message may contain."""


def profile(**changes: Any) -> dict[str, Any]:
    """Return a valid profile with changed members."""
    return {"identity": identity(), "exchange": exchange()} | changes


def with_identity(**changes: Any) -> dict[str, Any]:
    """Return a configuration with changed members of the identity."""
    return configuration(profiles={"default": profile(identity=identity(**changes))})


def with_authn(method: str = "CLIENT_SECRET_POST", **keys: Any) -> dict[str, Any]:
    """Return a configuration whose client authenticates by `method` with exactly these keys."""
    return with_identity(authnConfiguration={"authnMethod": method, **keys})


def with_exchange(**changes: Any) -> dict[str, Any]:
    """Return a configuration with changed members of the exchange."""
    return configuration(profiles={"default": profile(exchange=exchange(**changes))})


def write_file(path: Path, config: Any) -> Path:
    """Write a text as it is, or a configuration as JSON, and return the path."""
    path.write_text(config if isinstance(config, str) else json.dumps(config))
    return path


def refusal(loaded: Load, config: Any, environ: dict[str, str] | None = None) -> str:
    """Return the message that a configuration is refused with: one line, after the name of its file."""
    with pytest.raises(ConfigError) as caught:
        loaded(config, environ)
    text = str(caught.value)
    assert "\n" not in text
    file, _, rest = text.partition("config.json: ")
    assert file.startswith("/")
    return rest


def sdk_file(tmp_path: Path, **changes: Any) -> Path:
    """Write the IDaaS SDK's file into the home directory `tmp_path`."""
    (tmp_path / ".cloud_idaas").mkdir()
    return write_file(tmp_path / ".cloud_idaas" / "client-config.json", SDK_FILE | changes)
