"""`config`: checks the configuration; prints its schema, or each effective value with its origin. Never a secret."""

from __future__ import annotations

import json
import socket
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ..config import Loaded, load
from ..model import ConfigError
from ..places import without_login
from ..typed import join

PROXIES = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    if arguments.json and not arguments.show:
        raise ConfigError("--json: goes with --show")
    if arguments.schema:
        from ..schema import schema

        print(json.dumps(schema(), indent=2))
        return 0
    loaded = load(arguments.config, environ, hostname=socket.gethostname(), now=time.time)
    for warning in loaded.warnings:
        print(f"idaas-sidecar config: warning: {warning}", file=sys.stderr)
    if arguments.show:
        show = _as_json if arguments.json else _as_text
        print(show(list(rows(loaded, environ))))
    else:
        print(f"{loaded.origin}: good; profiles: {', '.join(loaded.settings.profiles)}")
    return 0


def rows(loaded: Loaded, environ: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    """Each dotted key with its effective value and where that came from; what may hold a secret is left out of it."""
    for key, value in leaves(loaded.settings):
        source = loaded.sources.get(key, "default")
        if key == "proxy" and value is None:
            source = _proxy_source(environ)
        yield key, _shown(key, value), source


def _shown(key: str, value: Any) -> Any:
    """A proxy without its password; a command without its arguments, where people do put secrets."""
    last = key.rpartition(".")[2]
    if last == "proxy" and value:
        return without_login(value)
    if last == "command" and len(value) > 1:
        return [value[0], f"(and {len(value) - 1} arguments)"]
    return value


def _proxy_source(environ: Mapping[str, str]) -> str:
    named = [name for name in PROXIES if environ.get(name)]
    return f"environment {', '.join(named)}, chosen for each URL" if named else "default"


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each dotted key of `value` (a Settings or a part of one) with its value."""
    if isinstance(value, msgspec.Struct):
        tag = value.__struct_config__.tag_field
        if tag:
            yield join(path, tag), value.__struct_config__.tag
        for name, encoded in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True):
            yield from leaves(getattr(value, name), join(path, encoded))
    elif isinstance(value, dict) and value and all(isinstance(item, msgspec.Struct) for item in value.values()):
        for name, item in value.items():
            yield from leaves(item, join(path, name))
    elif isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}[{index}]")
    else:
        yield path, value


def _as_json(found: list[tuple[str, Any, str]]) -> str:
    return json.dumps([{"key": key, "value": value, "source": source} for key, value, source in found], indent=2)


def _as_text(found: list[tuple[str, Any, str]]) -> str:
    width = max(len(key) for key, _, _ in found)
    return "\n".join(
        f"{key:<{width}}  {json.dumps(value, ensure_ascii=False)}  ({source})" for key, value, source in found
    )
