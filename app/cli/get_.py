"""`get`: one credential on stdout, without a server."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Mapping

from .. import documents
from ..cloud import Cloud
from ..config import Loaded, load
from ..model import ConfigError, Credentials, Event, Warned

PRINTERS: Mapping[str, Callable[[Credentials], str]] = {
    "uri": lambda credentials: documents.uri_document(credentials).decode(),
    "external": documents.external_document,
    "env": documents.env_lines,
    "ini": documents.ini_lines,
    "json": documents.plain_document,
}


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    loaded = load(arguments.config, environ, hostname=socket.gethostname(), now=time.time)
    check_profile(loaded, arguments.profile)
    credentials = asyncio.run(_fetch(loaded, environ, arguments.profile))
    print(PRINTERS[arguments.format](credentials))
    return 0


def check_profile(loaded: Loaded, name: str) -> None:
    """Raises ConfigError unless the configuration has the profile `name`."""
    if name not in loaded.settings.profiles:
        known = ", ".join(loaded.settings.profiles)
        raise ConfigError(f"--profile: there is no profile {name!r} in {loaded.origin}; there is {known}")


async def _fetch(loaded: Loaded, environ: Mapping[str, str], profile: str) -> Credentials:
    cloud = Cloud(loaded.settings, environ, now=time.time, observe=_warn)
    try:
        return await cloud.fetch(profile)
    finally:
        await cloud.aclose()


def _warn(event: Event) -> None:
    if isinstance(event, Warned):
        print(f"idaas-sidecar get: warning: {event.message}", file=sys.stderr)
