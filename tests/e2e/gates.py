"""Starts within a gate that ends, on machines of any speed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .processes import DEADLINE, Process, serve

GATES = (3, 20, 120)
"""Seconds of `startup.timeoutSeconds` that are tried in turn: the first attempt may take long on a busy machine."""


@dataclass(frozen=True, slots=True)
class FailedStart:
    """A `serve` process that ended at its gate: the process, its exit code, and its event `start_up_failed`."""

    process: Process
    code: int
    failed: dict[str, Any]


def failed_start(settings: Mapping[str, Any], *, home: Path, env: Mapping[str, str]) -> FailedStart:
    """Run `serve` until its gate ends after the first attempt. If the gate ended before that, use a longer one."""
    for seconds in GATES:
        limited = {**settings, "startup": {**settings.get("startup", {}), "timeoutSeconds": seconds}}
        with serve(limited, home=home, env=env) as sidecar:
            start = FailedStart(
                sidecar.process, sidecar.process.wait(seconds + DEADLINE), sidecar.process.event("start_up_failed")
            )
        if start.failed["error"] != "no answer from the cloud":
            break
    return start
