"""
`config`: check the configuration, or print its schema, an example, or each effective value with its source.

No secret is printed.
"""

from __future__ import annotations

import json
import socket
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from ...config.examined import Examined
from ...config.explain import Row, as_members, rows
from ...config.loader import examine
from ...core.errors import ConfigError
from ...core.json_text import json_text
from ...core.text import one_line
from ..errors import print_warning

EXAMPLE = Path(__file__).parents[1] / "config.example.json"
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
        from ...config.json_schema import schema

        print(json.dumps(schema(), indent=2))
        return 0
    return _examine(arguments, environ)


def _examine(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Check the configuration, and print the values if `--show` is set. Raises ConfigError with all mistakes."""
    examined = examine(arguments.config, environ, hostname=socket.gethostname())
    if arguments.show or not examined.found:
        for warning in examined.warnings:
            print_warning("config", warning)
    if arguments.show and (found := list(_rows(examined, environ))):
        print(_as_json(found) if arguments.json else _as_text(found))
    if examined.found:  # after the values, which help to find what is wrong
        raise examined.error()
    if not arguments.show and examined.settings is not None:
        print(one_line(f"{examined.origin}: valid; profiles: {', '.join(examined.settings.profiles)}"))
    return 0


def _check_options(arguments: Namespace) -> None:
    if arguments.json and not arguments.show:
        raise ConfigError("--json: only valid with --show", error_code="IDS-125")
    if arguments.offline and (arguments.show or arguments.schema or arguments.example):
        raise ConfigError("--offline: only checks; not valid with --show, --schema or --example", error_code="IDS-125")


def _offline(arguments: Namespace, environ: Mapping[str, str]) -> int:
    from .. import offline

    checked = offline.check(arguments.config, environ, socket.gethostname())
    for warning in checked.warnings:
        print_warning("config", warning)
    for line in checked.unchecked:
        print(f"idaas-sidecar config: not checked here: {line}", file=sys.stderr)
    print(one_line(f"{checked.origin}: valid offline; profiles: {', '.join(checked.profiles)}"))
    return 0


def _rows(examined: Examined, environ: Mapping[str, str]) -> Iterator[Row]:
    """Yield each dotted key, its effective value without secrets, the value's source, and its mistakes."""
    for row in rows(examined):
        of_environ = row.key == "proxy" and row.value is None and not row.mistakes
        yield replace(row, source=_proxy_source(environ)) if of_environ else row


def _proxy_source(environ: Mapping[str, str]) -> str:
    names = [name for name in PROXY_VARIABLES if environ.get(name)]
    return f"environment {', '.join(names)}, chosen for each URL" if names else "default"


def _as_json(found: Sequence[Row]) -> str:
    return json.dumps([as_members(row) for row in found], indent=2)


def _as_text(found: Sequence[Row]) -> str:
    listed = [row for row in found if row.mistakes or (row.value, row.source) != (None, "default")]
    width = max(len(row.key) for row in listed)
    # A source is the name of a file, which may have characters that a terminal obeys.
    return "\n".join(one_line(line) for row in listed for line in _lines(row, width))


def _lines(row: Row, width: int) -> Iterator[str]:
    value = "wrong" if row.mistakes and row.value is None else json_text(row.value)
    yield f"{row.key:<{width}}  {value}  ({row.source})"
    for mistake in row.mistakes:
        yield f"{'':<{width}}  {mistake.error_code} {mistake}"
