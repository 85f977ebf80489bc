"""The report: the state of each workload, and for each AccessKey whether it can be disabled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import ConfigError
from ..core.formats import timestamp
from .names import resolved
from .workload import Carrier, Found, Reading, Workload

DAY = 86_400.0

RECENT = DAY
"""Seconds before the newest line of all files. A workload must have read in this time, because sessions last hours."""

UNKNOWN = "unknown"
"""The name of an AccessKey whose id the files do not contain."""

VERDICTS = {
    "in use": "a workload carries it and does not read from the sidecar",
    "remove": "workloads carry it and read from the sidecar; remove it from them, because SDKs use a static key first",
    "wait": "no workload is known to carry it any more, but it is not certain that none needs it",
    "safe": "no workload carries it any more, and those that carried it have read from the sidecar long enough",
}
"""The meaning of each verdict on an AccessKey."""


@dataclass(slots=True)
class _Use:
    """A workload's use of the sidecar: times in seconds since the epoch. An unknown time is None."""

    first: float | None = None
    last: float | None = None
    profiles: set[str] = field(default_factory=set)

    def add(self, reading: Reading) -> None:
        firsts = [first for first in (self.first, reading.first) if first is not None]
        self.first = min(firsts, default=None)
        self.last = max(self.last or 0.0, reading.last)
        self.profiles.add(reading.profile)


def make(
    found: Found, *, days: float, before: Mapping[str, Any] | None = None, ended: Iterable[str] = ()
) -> dict[str, Any]:
    """
    Return the report as JSON members. `days`: the days for which a workload must have read before its key is safe.

    `ended`: workloads that no longer exist.
    `before`: an earlier report. Without it, a key that no file contains any more is unknown, so no key can be safe.
    Raises ConfigError if `before` is not a report, or if a reading or `ended` names a workload that does not exist.
    """
    once = _earlier(before) if before is not None else {}
    past = set().union(*once.values())
    gone = set(_ended(ended, past, before is not None).values())
    earlier = {key: names - gone for key, names in once.items()}
    uses, unassigned = _assign(found, past)
    return {
        "workloads": [_workload(item, uses[item.name]) for item in _sorted(found.workloads.values())],
        "stores": [{"place": name, "carries": _carries(items)} for name, items in sorted(found.stores.items())],
        "keys": _keys(found, uses, earlier, days, {key for key, names in once.items() if not names}),
        "unassigned": [
            {
                "workload": item.workload or None,
                "session": item.session or None,
                "profile": item.profile or None,
                **_times(item.first, item.last),
            }
            for item in unassigned
        ],
        "newest_evidence": timestamp(found.newest) if found.newest else None,
        "days": days,
    }


def _ended(words: Iterable[str], past: set[str], has_before: bool) -> Mapping[str, str]:
    """Return the whole names of the workloads that no longer exist. Raises ConfigError."""
    given = list(words)
    if given and not has_before:
        cause = "--ended: has no effect without --before"
        raise ConfigError(cause, cure="add --before with the earlier report", error_code="IDS-125")
    return resolved(given, past, "--ended")


def _assign(found: Found, past: set[str]) -> tuple[dict[str, _Use], list[Reading]]:
    """
    Return the use of each workload, and the readings that belong to no workload.

    `past`: further workloads that a reading may name. Raises ConfigError for any other name.
    """
    uses = {name: _Use() for name in found.workloads}
    named = {reading.workload for reading in found.readings.values() if reading.workload}
    names = resolved(sorted(found.named | named), uses.keys() | past, "WORKLOAD")
    unassigned = []
    for reading in found.readings.values():
        if reading.workload:
            owners = [name for name in (names[reading.workload],) if name in uses]
        else:
            owners = [item.name for item in found.workloads.values() if item.is_of(reading.session)]
        for owner in owners:
            uses[owner].add(reading)
        if not owners:
            unassigned.append(reading)
    return uses, unassigned


def _workload(workload: Workload, use: _Use) -> dict[str, Any]:
    return {
        "workload": workload.name,
        "state": _state(workload, use),
        "carries": _carries(workload.carriers),
        "configured": workload.configured,
        **_times(use.first, use.last),
        "profiles": sorted(filter(None, use.profiles)),
        "notes": sorted(workload.notes),
    }


def _carries(carriers: Iterable[Carrier]) -> list[dict[str, str | None]]:
    return [{"place": item.place, "key": item.key or None} for item in sorted(carriers)]


def _state(workload: Workload, use: _Use) -> str:
    reads = use.last is not None
    if workload.carriers:
        return "AccessKey and sidecar" if reads or workload.configured else "AccessKey"
    if reads:
        return "sidecar"
    return "sidecar, not used yet" if workload.configured else "no AccessKey found"


def _times(first: float | None, last: float | None) -> dict[str, str | None]:
    return {
        "reads_since": timestamp(first) if first is not None else None,
        "read_last": timestamp(last) if last is not None else None,
    }


def _keys(
    found: Found, uses: Mapping[str, _Use], earlier: Mapping[str, set[str]], days: float, unassigned: set[str]
) -> list[dict[str, Any]]:
    """Return a row for each key. `unassigned`: keys that an earlier report found in no workload."""
    carriers: dict[str, set[str]] = {}
    for workload in found.workloads.values():
        for carrier in workload.carriers:
            carriers.setdefault(carrier.key or UNKNOWN, set()).add(workload.name)
    stored: dict[str, set[str]] = {}
    for name, items in found.stores.items():
        for item in items:
            stored.setdefault(item.key or UNKNOWN, set()).add(name)
    rows = []
    known = {*carriers, *stored}
    for key in sorted({*known, *earlier} - {UNKNOWN}) + ([UNKNOWN] if UNKNOWN in known else []):
        now, once = carriers.get(key, set()), earlier.get(key, set())
        verdict, blocking = _verdict(now, once, found, uses, days)
        # A person, a controller or an earlier template of a workload may still read the key from such a place.
        places = stored.get(key, set()) | stored.get(UNKNOWN, set())
        if verdict in ("safe", "wait") and (places or key in unassigned):
            verdict, blocking = "wait", sorted({*blocking, *places})
        rows.append(
            {
                "key": None if key == UNKNOWN else key,
                "verdict": verdict,
                "meaning": VERDICTS[verdict],
                "workloads": sorted(now),
                "carried_before": sorted(once - now),
                "stored_in": sorted(stored.get(key, set())),
                "because_of": blocking,
            }
        )
    return rows


def _verdict(
    now: set[str], once: set[str], found: Found, uses: Mapping[str, _Use], days: float
) -> tuple[str, list[str]]:
    """Return the verdict on a key, and the workloads that determine the verdict."""
    blocking = sorted(name for name in now if not _reads(uses[name], found.newest, 0.0))
    if now:
        return ("in use", blocking) if blocking else ("remove", sorted(now))
    # A workload that is in no file may still exist. A workload with a note, or with an unknown key, may carry this key.
    waiting = {name for name in once if name not in uses or not _reads(uses[name], found.newest, days * DAY)}
    waiting |= {
        item.name for item in found.workloads.values() if item.notes or any(not each.key for each in item.carriers)
    }
    return ("wait", sorted(waiting)) if waiting else ("safe", [])


def _reads(use: _Use, newest: float, seconds: float) -> bool:
    """Return whether a workload has read recently, and has been reading for at least `seconds`."""
    if use.last is None or use.last < newest - RECENT:
        return False
    return not seconds or (use.first is not None and newest - use.first >= seconds)


def _earlier(before: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return for each key the workloads that carried it in the earlier report, or in any report before."""
    try:
        return {
            str(row["key"]): {*map(str, row["workloads"]), *map(str, row["carried_before"])}
            for row in before["keys"]
            if row["key"] is not None
        }
    except (KeyError, TypeError):
        raise ConfigError("--before: not the output of migrate report --json", error_code="IDS-126") from None


def _sorted(workloads: Iterable[Workload]) -> list[Workload]:
    """Return the workloads in the order of their names. Workloads that carry a key come first."""
    return sorted(workloads, key=lambda item: (not item.carriers, item.name))
