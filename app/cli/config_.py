"""`config`: checks the configuration; prints its schema, or each effective value with its origin. Never a secret."""

from __future__ import annotations

import json
import socket
import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

import msgspec

from ..config import Loaded, leaves, load
from ..settings import Settings


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    if arguments.schema:
        print(json.dumps(schema(), indent=2, ensure_ascii=False))
        return 0
    loaded = load(arguments.config, environ, hostname=socket.gethostname(), now=time.time)
    for warning in loaded.warnings:
        print(f"idaas-sidecar config: warning: {warning}", file=sys.stderr)
    if arguments.show:
        _show(loaded, as_json=arguments.json)
    else:
        names = ", ".join(loaded.settings.profiles)
        print(f"{loaded.origin}: good; profiles: {names}")
    return 0


def schema() -> dict[str, Any]:
    """The file's JSON Schema (2020-12)."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(Settings)}


def _show(loaded: Loaded, *, as_json: bool) -> None:
    rows = [(key, value, loaded.sources.get(key, "default")) for key, value in leaves(loaded.settings)]
    if as_json:
        print(json.dumps([{"key": key, "value": value, "source": source} for key, value, source in rows], indent=2))
        return
    width = max(len(key) for key, _, _ in rows)
    for key, value, source in rows:
        print(f"{key:<{width}}  {json.dumps(value, ensure_ascii=False)}  ({source})")
