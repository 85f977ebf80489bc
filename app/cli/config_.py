"""`config`: checks the configuration; prints its schema, or each effective value with its origin. Never a secret."""

from __future__ import annotations

import json
import socket
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import Any

from ..config.explain import leaves, shown
from ..config.loader import Loaded, load
from ..core.errors import ConfigError

PROXIES = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    if arguments.json and not arguments.show:
        raise ConfigError("--json: goes with --show")
    if arguments.schema:
        from ..config.json_schema import schema

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
        yield key, shown(key, value), source


def _proxy_source(environ: Mapping[str, str]) -> str:
    named = [name for name in PROXIES if environ.get(name)]
    return f"environment {', '.join(named)}, chosen for each URL" if named else "default"


def _as_json(found: list[tuple[str, Any, str]]) -> str:
    return json.dumps([{"key": key, "value": value, "source": source} for key, value, source in found], indent=2)


def _as_text(found: list[tuple[str, Any, str]]) -> str:
    width = max(len(key) for key, _, _ in found)
    return "\n".join(
        f"{key:<{width}}  {json.dumps(value, ensure_ascii=False)}  ({source})" for key, value, source in found
    )
