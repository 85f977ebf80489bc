"""`get`: print one credential on stdout or write it to a file.

A running sidecar with an admin socket is asked for what it holds: no request is sent to the cloud, and no HTTP client
is loaded. Otherwise the command fetches the credentials itself.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from argparse import Namespace
from collections.abc import Mapping

from ..config.loader import Loaded, load
from ..core.clocks import Clocks
from ..core.errors import ConfigError
from ..core.events import ClockRead, Event, Warned
from ..core.values import Credentials
from ..observe.event_log import CLOCK_TOLERANCE
from ..store import credential_files
from ..system.hardening import no_dumps
from .admin_client import held_credentials


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Print or write the credentials of one profile."""
    no_dumps()
    credentials = _held(arguments, environ) or _fetched(arguments, environ)
    if arguments.out is not None:
        credential_files.write(arguments.out, arguments.format, credentials)
    else:
        print(credential_files.FORMATS[arguments.format](credentials))
    return 0


def _held(arguments: Namespace, environ: Mapping[str, str]) -> Credentials | None:
    """Return what the running sidecar holds, or None without one."""
    loaded = load(arguments.config, environ, hostname=socket.gethostname(), now=time.time, look=False)
    check_profile(loaded, arguments.profile)
    path = loaded.settings.server.admin_socket
    return held_credentials(path, arguments.profile) if path is not None else None


def _fetched(arguments: Namespace, environ: Mapping[str, str]) -> Credentials:
    """Return credentials from the cloud. Warnings go to stderr."""
    loaded = load(arguments.config, environ, hostname=socket.gethostname(), now=time.time)
    warnings = _WarningPrinter()
    for warning in loaded.warnings:
        if warning.startswith(f"profiles.{arguments.profile}.identity."):
            warnings.print(warning)
    return asyncio.run(_fetch(loaded, environ, arguments.profile, warnings))


def check_profile(loaded: Loaded, name: str) -> None:
    """Raise ConfigError unless the configuration has the profile `name`."""
    if name not in loaded.settings.profiles:
        known = ", ".join(loaded.settings.profiles)
        raise ConfigError(f"--profile: there is no profile {name!r} in {loaded.origin}; there is {known}")


class _WarningPrinter:
    """Prints each warning once, on stderr."""

    def __init__(self) -> None:
        self._printed: set[str] = set()

    def print(self, message: str) -> None:
        """Print the warning, unless it was printed before."""
        if message not in self._printed:
            self._printed.add(message)
            print(f"idaas-sidecar get: warning: {message}", file=sys.stderr)

    def observe(self, event: Event) -> None:
        """Print the warnings of the token and exchange requests, and report a wrong clock: error messages do not."""
        if isinstance(event, Warned):
            self.print(event.message)
        elif isinstance(event, ClockRead) and abs(event.offset) > CLOCK_TOLERANCE:
            self.print("this machine's clock differs from the cloud's by a minute or more; set the clock")


async def _fetch(loaded: Loaded, environ: Mapping[str, str], profile: str, warnings: _WarningPrinter) -> Credentials:
    from ..refresh.pipeline import Pipeline  # with an HTTP client: 60 ms and 4 MiB

    pipeline = Pipeline(loaded.settings, environ, clocks=Clocks(), observe=warnings.observe)
    try:
        return await pipeline.fetch(profile)
    finally:
        await pipeline.aclose()
