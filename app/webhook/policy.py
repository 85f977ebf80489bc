"""CredentialPolicies, which state the profiles that each service account of a namespace may use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from ..core.errors import ConfigError, Mistake
from ..core.text import one_line
from .convert import convert
from .names import GROUP, POLICY_NAME, VERSION
from .pod import flattened, within
from .shape import metadata_of

Names = tuple[str, ...]

_EXPORT = "give the output of kubectl get credentialpolicies -A -o json, or the files of the policies"


class Profile(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A profile of a CredentialPolicy. Optional members that the object does not have are None."""

    name: str
    service_accounts: Names
    role_arn: str
    oidc_provider_arn: str
    region_id: str | None = None
    vpc: bool | None = None
    duration_seconds: int | None = None
    endpoints: Names | None = None


class CredentialPolicy(msgspec.Struct, frozen=True):
    """The profiles that the pods of one namespace may use."""

    profiles: tuple[Profile, ...]


class PolicySource(Protocol):
    """A source of CredentialPolicies."""

    async def find(self, namespace: str) -> CredentialPolicy | None:
        """Return the namespace's policy, or None if it has none. Raises Unreachable if the source does not answer."""


def decoded(value: Any, place: str) -> CredentialPolicy:
    """
    Return the policy of an object of the API. Raises ConfigError, whose lines begin with `place`.

    The CRD's schema has already checked an object from the API server. An object from a file may have any content.
    """
    return convert(within(value, "spec"), CredentialPolicy, place, "spec", error_code="IDS-128")


class FilePolicies:
    """
    The CredentialPolicies among the objects of a file, by namespace. Objects of other kinds are skipped.

    Raises ConfigError with all mistakes, whose lines begin with `place`. A file without a CredentialPolicy is
    a mistake, except the empty List that `kubectl get` prints.
    """

    def __init__(self, objects: Iterable[Any], place: str) -> None:
        self._policies: dict[str, CredentialPolicy] = {}
        documents = [each for each in objects if each is not None]
        found = list(flattened(documents))
        mistakes: list[Mistake] = []
        for each in found:
            try:
                self._add(each, place)
            except ConfigError as error:
                mistakes += error.mistakes
        if not mistakes and not self._policies and (found or not documents):
            mistakes.append(Mistake(f"{place}: no CredentialPolicy in it", "IDS-128", _EXPORT))
        if mistakes:
            raise ConfigError.of(dict.fromkeys(mistakes))

    def _add(self, each: Any, place: str) -> None:
        kind, version = within(each, "kind"), within(each, "apiVersion")
        if not isinstance(kind, str) or not isinstance(version, str):
            cause = f"{place}: not an object of the Kubernetes API: it has no apiVersion and kind"
            raise ConfigError(cause, cure=_EXPORT, error_code="IDS-128")
        if kind != "CredentialPolicy":
            return
        if version != f"{GROUP}/{VERSION}":
            cause = f"{place}: CredentialPolicy: apiVersion: {one_line(version)!r} is not known"
            raise ConfigError(cause, cure=f"write {GROUP}/{VERSION}", error_code="IDS-128")
        metadata = metadata_of(each, f"{place}: CredentialPolicy")
        namespace, name = metadata.namespace or "default", metadata.name
        if name != POLICY_NAME:
            raise ConfigError(
                f"{place}: the CredentialPolicy {name!r} has no effect; its name must be {POLICY_NAME!r}",
                error_code="IDS-128",
            )
        where = f"{place}: namespace {one_line(namespace)}"
        if namespace in self._policies:
            cause = f"{where}: has two CredentialPolicies"
            raise ConfigError(cause, cure="keep one of them", error_code="IDS-128")
        self._policies[namespace] = decoded(each, where)

    async def find(self, namespace: str) -> CredentialPolicy | None:
        """Return the policy of a namespace, or None."""
        return self._policies.get(namespace)
