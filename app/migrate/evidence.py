"""Uses of a sidecar with their times, from audit log lines, documents of `status --json`, and metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ..core.json_text import json_value
from .workload import Reading

_SAMPLE = re.compile(r"idaas_sidecar_last_served_timestamp_seconds\{([^}]*)\} ([0-9.e+]+)", re.MULTILINE)
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def is_status(value: object) -> bool:
    """Return whether `value` is a document of `/status.json`."""
    return isinstance(value, dict) and "host" in value and isinstance(value.get("profiles"), list)


def is_audit_log(text: str) -> bool:
    """Return whether one of the first lines of a text is a JSON line of the sidecar's log."""
    return any(_line(line) for line in text[:65_536].splitlines()[:200])


def is_metrics(text: str) -> bool:
    """Return whether a text has metrics of the sidecar."""
    return "\nidaas_sidecar_" in f"\n{text}"


def of_status(value: dict[str, Any], workload: str) -> Iterator[Reading]:
    """Yield the last use of each profile from a status. The status's host is the pod, if the pod is known."""
    session = str(value["host"]).replace("/", ".")
    for profile in value["profiles"]:
        last = _instant(profile.get("last_served_at")) if isinstance(profile, dict) else None
        if last is not None:
            yield Reading(workload, session, str(profile.get("profile")), None, last, _count(profile.get("served")))


def of_audit_log(text: str, workload: str) -> Iterator[Reading]:
    """Yield a reading for each session that a caller received. By default, a session has the name of its pod."""
    for line in text.splitlines():
        members = _line(line)
        at = _instant(members.get("timestamp")) if members.get("event") == "credentials_served" else None
        if at is not None:
            session = str(members.get("session") or "")
            yield Reading(workload, session, str(members.get("profile") or ""), at, at)


def of_metrics(text: str, workload: str) -> Iterator[Reading]:
    """Yield the last use of each profile. Prometheus adds the labels `namespace` and `pod`."""
    for labels, value in _SAMPLE.findall(text):
        found = dict(_LABEL.findall(labels))
        pod = ".".join(filter(None, (found.get("namespace"), found.get("pod"))))
        at = _seconds(value)
        if at is not None:
            yield Reading(workload, pod, found.get("profile", ""), None, at)


def _line(line: str) -> dict[str, Any]:
    """Return the members of a log line; empty for any other line. `kubectl logs --prefix` writes words before it."""
    start = line.find('{"timestamp":')
    if start < 0:
        return {}
    try:
        members = json_value(line[start:])
    except ValueError:
        return {}
    return members if isinstance(members, dict) and "event" in members else {}


LATEST = 253_402_300_799.0
"""The last second of the year 9999, in Unix seconds. A report cannot show a later time."""


def _instant(text: object) -> float | None:
    """Return the Unix time of an RFC 3339 text; None for another value."""
    try:
        at = datetime.fromisoformat(str(text)).timestamp() if text else None
    except (ValueError, OverflowError):
        return None
    return at if at is not None and 0.0 <= at <= LATEST else None


def _seconds(text: str) -> float | None:
    """Return the Unix time of a sample; None for another value."""
    try:
        at = float(text)
    except ValueError:
        return None
    return at if 0.0 <= at <= LATEST else None


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 1
