"""The content of the files: workloads with the AccessKeys that they carry, and uses of a sidecar."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Carrier:
    """A place that holds an AccessKey. `key`: the cut id of the AccessKey; empty if the files do not contain it."""

    place: str
    key: str


@dataclass(slots=True)
class Workload:
    """
    One Deployment, service, unit or file.

    `configured`: the workload has a sidecar, or the variable that points to one. `pods`: names of the form
    `namespace.pod`, which are the sidecar's default session names; `pattern` matches further names. `notes`: questions
    that the files leave open.
    """

    name: str
    configured: bool = False
    carriers: set[Carrier] = field(default_factory=set)
    notes: set[str] = field(default_factory=set)
    pods: set[str] = field(default_factory=set)
    pattern: re.Pattern[str] | None = None

    def is_of(self, session: str) -> bool:
        """Return whether a session name, or `namespace.pod`, is one of this workload."""
        return session in self.pods or (self.pattern is not None and self.pattern.fullmatch(session) is not None)

    def add(self, other: Workload) -> None:
        """Add the facts from another file, or from a pod of this workload."""
        self.configured = self.configured or other.configured
        self.carriers |= other.carriers
        self.notes |= other.notes
        self.pods |= other.pods
        self.pattern = self.pattern or other.pattern


@dataclass(slots=True)
class Reading:
    """
    Credentials that a sidecar served.

    `workload`: the name that the user gave the file; empty without one. `session`: the session name, or
    `namespace.pod`. `first` is None where the source knows only the last time. Times are seconds since the epoch.
    """

    workload: str
    session: str
    profile: str
    first: float | None
    last: float
    count: int = 1


@dataclass(slots=True)
class Found:
    """
    The whole content of the files.

    `named`: the workloads that the user named. `newest`: the time of the newest line of an audit log, status or metric.
    """

    workloads: dict[str, Workload] = field(default_factory=dict)
    readings: dict[tuple[str, str, str], Reading] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    newest: float = 0.0
    stores: dict[str, set[Carrier]] = field(default_factory=dict)
    """The Secrets and ConfigMaps with AccessKeys that no workload uses, by name."""

    def workload(self, found: Workload) -> None:
        """Add a workload, or the facts about it from another file."""
        known = self.workloads.setdefault(found.name, found)
        if known is not found:
            known.add(found)

    def reading(self, found: Reading) -> None:
        """Add a use of a sidecar."""
        self.newest = max(self.newest, found.last)
        key = (found.workload, found.session, found.profile)
        known = self.readings.setdefault(key, found)
        if known is not found:
            firsts = [first for first in (known.first, found.first) if first is not None]
            known.first, known.last = min(firsts, default=None), max(known.last, found.last)
            known.count += found.count
