"""The base of every authentication method: its settings, and the functions that use them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Literal, Protocol

from msgspec import Meta

from ...core.base import Strict
from ...core.checks import Check, fails
from ...core.connection import Connection
from ...core.errors import Mistake
from ...core.record import Record
from ...system.secrets import Rotating
from ...upstream.response import HttpClient
from ..client_auth import ClientAuth
from ..context import Context, Reporter, TokenSource

DeployEnvironment = Annotated[
    Literal[
        "COMMON",
        "COMPUTER",
        "KUBERNETES",
        "ALIBABA_CLOUD_ECS",
        "ALIBABA_CLOUD_ECI",
        "ALIBABA_CLOUD_ACK",
        "AWS_EC2",
        "AWS_ESK",
        "GOOGLE_VM",
        "HUAWEI_CLOUD_ECS",
        "CUSTOM",
    ]
    | None,
    Meta(description="The SDK's name of the environment. PKCS7 accepts ALIBABA_CLOUD_ECS, OIDC KUBERNETES."),
]
"""A key of the SDK's file. Only PKCS7 and OIDC read it."""

IdentityType = Annotated[Literal["CLIENT"], Meta(description="Only machine identities are supported.")]
"""A key of the SDK's file."""

FederatedCredential = Annotated[
    str | None, Meta(description="Name of the application's federated credential in the IDaaS console. Required.")
]


class ClientFacts(Record, frozen=True):
    """The facts about the client that a method gets from its identity. An unknown fact is None."""

    place: str
    """The key path of the identity."""
    client_id: str
    issuer: str | None
    connection: Connection
    instance_id: str | None = None
    scope: str | None = None
    open_api_endpoint: str | None = None
    exchanges_tokens: bool = False
    """Whether the identity has a tokenExchange."""


class MakeSource(Protocol):
    """Returns the source that asks the identity's token endpoint. `secret`: the secret behind the proof."""

    def __call__(self, auth: ClientAuth, secret: Rotating | None = None) -> TokenSource: ...


class ClientParts(Record, frozen=True):
    """The objects from which a method builds its source. `place`: the key path of the method."""

    facts: ClientFacts
    place: str
    context: Context
    reporter: Reporter
    http: HttpClient
    token_endpoint_source: MakeSource
    signing_algorithms: Callable[[], Sequence[str]] = tuple
    """The algorithms of assertions that the server says it supports; empty if the server names none."""


class Method(Strict, frozen=True, kw_only=True):
    """
    An authentication method: its configuration keys, and the functions that use them.

    A method overrides `build`, and the other functions as needed. `place` is the key path of the method.
    """

    def checks(self, place: str, facts: ClientFacts) -> Iterator[Check]:
        """Yield the checks of values that cannot work. Pure."""
        yield from ()

    def read_checks(self, place: str, environ: Mapping[str, str]) -> Iterator[Check]:
        """Yield the checks that the secrets, keys and certificates that are named exist and fit."""
        yield from ()

    def token_checks(self, place: str, environ: Mapping[str, str]) -> Iterator[Check]:
        """Yield the checks that the token exists which another program writes for the method."""
        yield from ()

    def implied_files(self, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Yield path and FILE mark of the method's files that no key names directly."""
        yield from ()

    def metadata_endpoint(self) -> str | None:
        """Return the URL of the ECS metadata service that the method asks, or None."""
        return None

    def url(self, facts: ClientFacts) -> str | None:
        """Return the URL that the method asks instead of the token endpoint, or None."""
        return None

    def build(self, parts: ClientParts) -> TokenSource:
        """Return the source of the client's token."""
        raise NotImplementedError


def federated_credential(method: Method, name: str | None, place: str) -> Iterator[Check]:
    """Yield a failing check unless the federated credential is named."""
    if not name:
        tag = type(method).__struct_config__.tag
        yield fails(Mistake(f"{place}.applicationFederatedCredentialName: required with {tag}", "IDS-106"))


def deploy_environment(method: Method, configured: str | None, only: str, place: str) -> Iterator[Check]:
    """Yield a failing check for a deploy environment in which the method does not work."""
    if configured not in (None, only):
        tag = type(method).__struct_config__.tag
        yield fails(Mistake(f"{place}.clientDeployEnvironment: {tag} works only in {only}", "IDS-113"))
