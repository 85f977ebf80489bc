"""From the exchange and the chain of a profile to what turns a token into credentials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..config.settings import Profile
from ..core.model import Now
from ..exchange import validate
from ..exchange.assume_role import AssumeRole
from ..exchange.assume_role_with_oidc import AssumeRoleWithOidc
from ..exchange.assume_role_with_oidc import Exchange as Step
from ..exchange.developer_api import ObtainAccessCredential
from ..exchange.settings import DeveloperApiExchange, Exchange, Link
from ..exchange.validate import IdaasInstance
from ..identity.settings import instance_of
from .connections import Wires


@dataclass(frozen=True, slots=True)
class Roles:
    """What a profile becomes: first one role by token, then the next ones by the credentials before."""

    first: Step
    links: tuple[AssumeRole, ...]


def roles(profile: Profile, place: str, wires: Wires, *, now: Now, new_id: Callable[[], str]) -> Roles:
    """The roles of `profile`, whose configuration stands at `place`."""
    links = (
        _link(link, f"{place}.chain[{index}]", profile.exchange, wires, now=now, new_id=new_id)
        for index, link in enumerate(profile.chain)
    )
    return Roles(_first(profile, f"{place}.exchange", wires, now=now), tuple(links))


def _first(profile: Profile, place: str, wires: Wires, *, now: Now) -> Step:
    exchange = profile.exchange
    wire = wires.to(exchange.connection, f"{place}.connection")
    if isinstance(exchange, DeveloperApiExchange):
        return ObtainAccessCredential(
            wire,
            endpoint=validate.developer_api(exchange, IdaasInstance(*instance_of(profile.identity)), place),
            instance_id=validate.instance_id(exchange, IdaasInstance(*instance_of(profile.identity)), place),
            role_arn=exchange.role_arn,
            duration_seconds=exchange.duration_seconds,
            now=now,
        )
    return AssumeRoleWithOidc(
        wire,
        endpoints=validate.sts_endpoints(exchange, place),
        role_arn=exchange.role_arn,
        provider_arn=exchange.oidc_provider_arn,
        session_name=str(exchange.role_session_name),
        duration_seconds=exchange.duration_seconds,
        policy=validate.policy_text(exchange.policy, place),
        now=now,
    )


def _link(
    link: Link, place: str, exchange: Exchange, wires: Wires, *, now: Now, new_id: Callable[[], str]
) -> AssumeRole:
    return AssumeRole(
        wires.to(link.connection or exchange.connection, f"{place}.connection"),
        endpoints=validate.link_endpoints(link, exchange, place),
        role_arn=link.role_arn,
        session_name=str(link.role_session_name),
        duration_seconds=link.duration_seconds,
        policy=validate.policy_text(link.policy, place),
        external_id=link.external_id,
        source_identity=link.source_identity,
        now=now,
        new_id=new_id,
    )
