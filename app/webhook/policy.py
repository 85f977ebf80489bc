"""CredentialPolicies, which state the profiles that each service account of a namespace may use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from ..core.errors import ConfigError
from .names import GROUP, POLICY_NAME, VERSION
from .pod import within
from .shape import metadata_of

Names = tuple[str, ...]


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
    Return the policy of an object of the API. Raises ConfigError, whose message begins with `place`.

    The CRD's schema has already checked an object from the API server. An object from a file may have any content.
    """
    try:
        return msgspec.convert(within(value, "spec"), CredentialPolicy)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{place}: not a CredentialPolicy: {error}", error_code="IDS-128") from None


class FilePolicies:
    """The CredentialPolicies among the objects of a file, by namespace."""

    def __init__(self, objects: Iterable[Any], place: str) -> None:
        self._policies: dict[str, CredentialPolicy] = {}
        for each in objects:
            if within(each, "apiVersion") != f"{GROUP}/{VERSION}" or within(each, "kind") != "CredentialPolicy":
                continue
            metadata = metadata_of(each, f"{place}: CredentialPolicy")
            namespace, name = metadata.namespace or "default", metadata.name
            if name != POLICY_NAME:
                raise ConfigError(
                    f"{place}: the CredentialPolicy {name!r} has no effect; its name must be {POLICY_NAME!r}",
                    error_code="IDS-128",
                )
            self._policies[namespace] = decoded(each, f"{place}: namespace {namespace}")

    async def find(self, namespace: str) -> CredentialPolicy | None:
        """Return the policy of a namespace, or None."""
        return self._policies.get(namespace)
