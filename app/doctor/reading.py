"""Reads a profile's role and provider from RAM, and the certificates that the issuer's server presents."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from ..core.arns import account_of
from ..core.errors import SidecarError
from ..exchange.settings import StsExchange
from ..setup.fingerprint import Chain
from .finding import Finding, failed
from .ram import IMS_ENDPOINT, RAM_ENDPOINT, STS_ENDPOINT, Provider, RamReader, Role

T = TypeVar("T")

PresentedChain = Callable[[str], Chain]
"""Returns the certificates that the server of an https URL presents. Blocks. Raises Unreachable or ConfigError."""

_ABSENT = ("EntityNotExist.Role", "EntityNotExist.OIDCProvider")


@dataclass(frozen=True, slots=True)
class Reading:
    """
    Role and provider, or the finding that explains why they are unknown.

    `chain`: the certificates that the issuer's server presents, or a text that explains why they are unknown.
    `account`: the account of RAM's answers, which is the AccessKey's account; empty if unknown.
    """

    role: Role | Finding
    provider: Provider | Finding
    chain: Chain | str = "no https issuer"
    account: str = ""


async def read(ram: RamReader, exchange: StsExchange, presented: PresentedChain) -> Reading:
    """Return RAM's data about the role and the provider of an exchange."""
    endpoint = ram.access.endpoint
    role = await _read(ram.role(exchange.role_arn), endpoint)
    provider = await _read(ram.provider(exchange.oidc_provider_arn), endpoint)
    account = await _account(ram, [each.arn for each in (role, provider) if not isinstance(each, Finding)])
    if isinstance(provider, Finding) or not provider.issuer.startswith("https://"):
        return Reading(role, provider, account=account)
    try:
        chain: Chain | str = await asyncio.to_thread(presented, provider.issuer)
    except SidecarError as error:
        chain = str(error)
    return Reading(role, provider, chain, account)


async def _account(ram: RamReader, arns: list[str]) -> str:
    """Return the account of the objects from RAM. Without an object, ask STS for the AccessKey's account."""
    if arns:
        return account_of(arns[0])
    try:
        return await ram.account()
    except SidecarError:
        return ""


def unread(error: SidecarError, endpoint: str | None) -> Reading:
    """Return a reading with the finding of the error that prevented it, such as a profile that cannot read RAM."""
    found = not_read(error, endpoint)
    return Reading(found, found)


async def _read(request: Awaitable[T], endpoint: str | None) -> T | Finding:
    try:
        return await request
    except SidecarError as error:
        return failed(error) if error.code in _ABSENT else not_read(error, endpoint)


_NETWORK = (
    "IDS-201",
    "IDS-202",
    "IDS-203",
    "IDS-204",
    "IDS-206",
    "IDS-207",
    "IDS-210",
    "IDS-211",
    "IDS-212",
    "IDS-213",
)
"""Codes of network failures. Their usual cures do not fit, because RAM's endpoints are not in the configuration."""


def not_read(error: SidecarError, endpoint: str | None) -> Finding:
    """
    Return the finding for a failed request to RAM. It is a warning, because credentials may still arrive.

    `endpoint`: the value of --ram-endpoint.
    """
    found = replace(failed(error.at("reading RAM")), state="warning")
    if found.code not in _NETWORK:
        return found
    hosts = ", ".join(url.removeprefix("https://") for url in (RAM_ENDPOINT, IMS_ENDPOINT, STS_ENDPOINT))
    if endpoint is None:
        return replace(found, cure=f"allow this machine to reach {hosts}, or name another URL with --ram-endpoint")
    return replace(found, cure=f"correct the URL of --ram-endpoint, or leave it out to read from {hosts}")
