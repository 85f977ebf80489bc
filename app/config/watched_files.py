"""The files that a configuration names, and the profiles that a change of each file concerns. Reads no file."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.base import PROOF, Strict
from ..identity.identities import implied_files
from .settings import PathToken, Settings


@dataclass(slots=True)
class WatchedFiles:
    """File names by purpose. A name may have several purposes."""

    configuration: frozenset[str]
    path_token: frozenset[str]
    proofs: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """For each file, the profiles that prove their identity with the file."""
    read_later: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """For each file, the profiles that read the file at each use."""

    def all(self) -> frozenset[str]:
        """Return all names."""
        return self.configuration | self.path_token | self.proofs.keys() | self.read_later.keys()


def watched_files(settings: Settings, read: Iterable[str], environ: Mapping[str, str]) -> WatchedFiles:
    """Return the files that `settings` name, and the files `read`, which contained the settings."""
    token = settings.access.path_token
    path = token.file if isinstance(token, PathToken) else None
    found = WatchedFiles(frozenset(_absolute(name) for name in read), frozenset({_absolute(path)} if path else ()))
    for name, profile in settings.profiles.items():
        named = (*named_files(profile), *named_files(settings.tls))
        for path, mark in (*named, *implied_files(profile.identity, environ)):
            (found.proofs if mark == PROOF else found.read_later)[_absolute(path)].add(name)
    return found


def needed_files(settings: Settings, read: Iterable[str], environ: Mapping[str, str]) -> frozenset[str]:
    """Return the files without which `settings` cannot be used. `read`: the files that contained the settings."""
    key_file = settings.cache.key_file
    return watched_files(settings, read, environ).all() | ({_absolute(key_file)} if key_file else set())


def named_files(value: Any) -> Iterator[tuple[str, str]]:
    """Yield path and FILE mark of every file that an object or one of its nested objects names."""
    if isinstance(value, Strict):
        yield from value.named_files()
        for field_name in value.__struct_fields__:
            yield from named_files(getattr(value, field_name))
    elif isinstance(value, tuple):
        for item in value:
            yield from named_files(item)


def _absolute(name: str) -> str:
    return os.path.abspath(os.path.expanduser(name))
