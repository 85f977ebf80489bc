"""Which files a configuration names, and what it is for whom that one of them changes. Reads none of them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ..identity.secret_refs import KUBERNETES_TOKEN
from .explain import leaves
from .settings import PathToken, Profile, Settings

PROOFS = frozenset(
    {"clientSecretFile", "privateKeyFile", "clientX509CertificateFile", "x509CertChainsFile", "certificateFile"}
)
"""What a profile proves itself with: replaced, it is tried at once, because the one before may be about to end."""

READ_LATER = frozenset({"tokenFile", "oidcTokenFilePath", "caFile"})
"""What is read whenever it is used: replaced, it matters at once only to who fails with what was there."""


@dataclass(slots=True)
class NamedFiles:
    """File names by what they are; a name may be several things."""

    configuration: frozenset[str]
    path_token: frozenset[str]
    proofs: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By file, the profiles that prove themselves with it."""
    read_later: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def all(self) -> frozenset[str]:
        return self.configuration | self.path_token | self.proofs.keys() | self.read_later.keys()


def named_files(settings: Settings, read: Iterable[str], environ: Mapping[str, str]) -> NamedFiles:
    """The files behind `settings`, which were `read` from those."""
    token = settings.access.path_token
    path = token.file if isinstance(token, PathToken) else None
    found = NamedFiles(frozenset(_absolute(name) for name in read), frozenset({_absolute(path)} if path else ()))
    for name, profile in settings.profiles.items():
        for path, proof in _of(profile, environ):
            (found.proofs if proof else found.read_later)[_absolute(path)].add(name)
        if settings.tls.ca_file:
            found.read_later[_absolute(settings.tls.ca_file)].add(name)
    return found


def _of(profile: Profile, environ: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """Each file of the profile, and whether it is a proof."""
    found = dict(leaves(profile))
    for key, value in found.items():
        place, _, last = key.rpartition(".")
        if isinstance(value, str) and last in PROOFS | READ_LATER:
            yield value, last in PROOFS
        elif last == "authnMethod" and value == "OIDC" and not found[f"{place}.oidcTokenFilePath"]:
            named = found[f"{place}.oidcTokenFilePathEnvVarName"]
            path = environ.get(named, "").strip() if named else KUBERNETES_TOKEN
            yield from [(path, False)] if path else ()


def _absolute(name: str) -> str:
    return os.path.abspath(os.path.expanduser(name))
