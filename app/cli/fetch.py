"""Credentials from the cloud, without a server."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Mapping

from ..config.loader import Loaded, load
from ..core.checks import profile_place
from ..core.clocks import Clocks
from ..core.errors import Mistake
from ..core.events import ClockRead, Event, Warned
from ..core.values import Credentials
from ..observe.event_log import CLOCK_TOLERANCE
from ..refresh.pipeline import Pipeline
from .errors import print_warning
from .profile_option import check_profile


def fetched(config: str | None, profile: str, environ: Mapping[str, str]) -> Credentials:
    """Return credentials from the cloud. Warnings go to stderr. Raises ConfigError, Refused or Unreachable."""
    loaded = load(config, environ, hostname=socket.gethostname(), now=time.time)
    check_profile(loaded, profile)
    warnings = _WarningPrinter()
    for warning in loaded.warnings:
        if warning.startswith(f"{profile_place(profile)}.identity."):
            warnings.print(warning)
    return asyncio.run(_fetch(loaded, environ, profile, warnings))


class _WarningPrinter:
    """Prints each warning once, on stderr."""

    def __init__(self) -> None:
        self._printed: set[str] = set()

    def print(self, warning: Mistake) -> None:
        """Print the warning, unless it was printed before."""
        if warning not in self._printed:
            self._printed.add(warning)
            print_warning("get", warning)

    def observe(self, event: Event) -> None:
        """Print the warnings of the token and exchange requests, and report a wrong clock: error messages do not."""
        if isinstance(event, Warned):
            self.print(Mistake(event.message, event.error_code))
        elif isinstance(event, ClockRead) and abs(event.offset) > CLOCK_TOLERANCE:
            cause = "this machine's clock differs from the cloud's by a minute or more"
            self.print(Mistake(cause, "IDS-214", "set the clock"))


async def _fetch(loaded: Loaded, environ: Mapping[str, str], profile: str, warnings: _WarningPrinter) -> Credentials:
    pipeline = Pipeline(loaded.settings, environ, clocks=Clocks(), observe=warnings.observe)
    try:
        return await pipeline.fetch(profile)
    finally:
        await pipeline.aclose()
