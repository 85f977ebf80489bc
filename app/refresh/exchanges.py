"""Builds the objects that turn a token into credentials, from the exchange and the chain of a profile."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..config.settings import Profile
from ..core.record import Record
from ..core.values import ServerNow
from ..exchange import validate
from ..exchange.assume_role import AssumeRole
from ..exchange.assume_role_with_oidc import AssumeRoleWithOidc
from ..exchange.developer_api import ObtainAccessCredential
from ..exchange.exchange import Exchange
from ..exchange.settings import ChainedRole, DeveloperApiExchange, ExchangeSettings
from ..exchange.validate import IdaasInstance
from ..identity.identities import instance_of
from .connections import Connections

Verified = Callable[[Mapping[str, str]], None]


class Exchanges(Record, frozen=True):
    """
    The roles of a profile: the first role is assumed with a token, each further role with the previous credentials.

    `url`: the endpoint at which the first role is requested, or the first of several endpoints.
    """

    url: str
    first: Exchange
    chain: tuple[AssumeRole, ...]


def exchanges(
    profile: Profile,
    place: str,
    connections: Connections,
    *,
    now: ServerNow,
    new_id: Callable[[], str],
    verified: Verified,
) -> Exchanges:
    """Return the roles of `profile`. `place`: the profile's key path. `verified`: see `AssumeRoleWithOidc`."""
    chain = (
        _chained(role, f"{place}.chain[{index}]", profile.exchange, connections, now=now, new_id=new_id)
        for index, role in enumerate(profile.chain)
    )
    instance = IdaasInstance(*instance_of(profile.identity))
    url = next(validate.urls(profile.exchange, instance, f"{place}.exchange"))
    return Exchanges(url, _first(profile, f"{place}.exchange", connections, now, verified), tuple(chain))


def _first(profile: Profile, place: str, connections: Connections, now: ServerNow, verified: Verified) -> Exchange:
    exchange = profile.exchange
    http = connections.to(exchange.connection, f"{place}.connection")
    if isinstance(exchange, DeveloperApiExchange):
        instance = IdaasInstance(*instance_of(profile.identity))
        return ObtainAccessCredential(
            http,
            endpoint=validate.developer_api(exchange, instance, place),
            instance_id=validate.instance_id(exchange, instance, place),
            role_arn=exchange.role_arn,
            duration_seconds=exchange.duration_seconds,
            now=now,
        )
    return AssumeRoleWithOidc(
        http,
        endpoints=validate.sts_endpoints(exchange, place),
        role_arn=exchange.role_arn,
        provider_arn=exchange.oidc_provider_arn,
        session_name=str(exchange.role_session_name),
        duration_seconds=exchange.duration_seconds,
        policy=validate.policy_text(exchange.policy, place),
        now=now,
        verified=verified,
    )


def _chained(
    role: ChainedRole,
    place: str,
    exchange: ExchangeSettings,
    connections: Connections,
    *,
    now: ServerNow,
    new_id: Callable[[], str],
) -> AssumeRole:
    return AssumeRole(
        connections.to(role.connection or exchange.connection, f"{place}.connection"),
        endpoints=validate.chained_endpoints(role, exchange, place),
        role_arn=role.role_arn,
        session_name=str(role.role_session_name),
        duration_seconds=role.duration_seconds,
        policy=validate.policy_text(role.policy, place),
        external_id=role.external_id,
        source_identity=role.source_identity,
        now=now,
        new_id=new_id,
    )
