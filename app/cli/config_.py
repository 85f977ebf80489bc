"""
`config`: check the configuration, or print its schema, an example, or each effective value with its source.

No secret is printed.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..config.explain import leaves, shown
from ..config.loader import Loaded, load
from ..core.errors import ConfigError
from ..core.json_text import json_text

EXAMPLE = Path(__file__).with_name("config.example.json")
"""A copy of config.example.json at the root of the repository. docs/reference/generate.py writes it."""

PROXY_VARIABLES = (
    "https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
)  # fmt: skip


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Check the configuration, and print the output that the options select. Warnings go to stderr."""
    _check_options(arguments)
    if arguments.example:
        print(EXAMPLE.read_text(), end="")
        return 0
    if arguments.offline:
        return _offline(arguments, environ)
    if arguments.schema:
        from ..config.json_schema import schema

        print(json.dumps(schema(), indent=2))
        return 0
    loaded, failure = _load(arguments, environ)
    for warning in loaded.warnings:
        print(f"idaas-sidecar config: warning: {warning}", file=sys.stderr)
    if arguments.show:
        rows = list(_rows(loaded, environ))
        print(_as_json(rows) if arguments.json else _as_text([row for row in rows if row[1:] != (None, "default")]))
    if failure is not None:
        raise failure
    if not arguments.show:
        print(f"{loaded.origin}: valid; profiles: {', '.join(loaded.settings.profiles)}")
    return 0


def _load(arguments: Namespace, environ: Mapping[str, str]) -> tuple[Loaded, ConfigError | None]:
    """
    Return the configuration, and the error about the files and variables that it names, or None.

    `--show` helps to find such mistakes, so its output is printed before the error. Raises ConfigError if there is
    nothing to show.
    """
    hostname = socket.gethostname()
    try:
        return load(arguments.config, environ, hostname=hostname, now=time.time), None
    except ConfigError as error:
        if not arguments.show:
            raise
        try:
            return load(arguments.config, environ, hostname=hostname, now=time.time, look=False), error
        except ConfigError:
            raise error from None


def _check_options(arguments: Namespace) -> None:
    if arguments.json and not arguments.show:
        raise ConfigError("--json: only valid with --show", error_code="IDS-125")
    if arguments.offline and (arguments.show or arguments.schema or arguments.example):
        raise ConfigError("--offline: only checks; not valid with --show, --schema or --example", error_code="IDS-125")


def _offline(arguments: Namespace, environ: Mapping[str, str]) -> int:
    from . import offline

    checked = offline.check(arguments.config, environ, socket.gethostname())
    for warning in checked.warnings:
        print(f"idaas-sidecar config: warning: {warning}", file=sys.stderr)
    for line in checked.unchecked:
        print(f"idaas-sidecar config: not checked here: {line}", file=sys.stderr)
    print(f"{checked.origin}: valid offline; profiles: {', '.join(checked.profiles)}")
    return 0


def _rows(loaded: Loaded, environ: Mapping[str, str]) -> Iterator[tuple[str, Any, str]]:
    """Yield each dotted key, its effective value without secrets, and the value's source."""
    for key, value in leaves(loaded.settings):
        source = loaded.sources.get(key, "default")
        if key == "proxy" and value is None:
            source = _proxy_source(environ)
        yield key, shown(key, value), source


def _proxy_source(environ: Mapping[str, str]) -> str:
    names = [name for name in PROXY_VARIABLES if environ.get(name)]
    return f"environment {', '.join(names)}, chosen for each URL" if names else "default"


def _as_json(rows: list[tuple[str, Any, str]]) -> str:
    return json.dumps([{"key": key, "value": value, "source": source} for key, value, source in rows], indent=2)


def _as_text(rows: list[tuple[str, Any, str]]) -> str:
    width = max(len(key) for key, _, _ in rows)
    return "\n".join(f"{key:<{width}}  {json_text(value)}  ({source})" for key, value, source in rows)
