"""Whether the exchange and the chain of a profile can work. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from . import places, workload
from .exchange_settings import DeveloperApiExchange, Exchange, Link, StsExchange
from .identity_settings import IdaasIdentity, Identity
from .model import ConfigError

LONGEST_POLICY = 2048
"""Characters (AssumeRoleWithOIDC's Policy)."""


def settings(exchange: Exchange, identity: Identity, place: str) -> None:
    """Raises ConfigError at the first value that cannot work. `identity` may say what the exchange leaves out."""
    workload.check_role_arn(exchange.role_arn, f"{place}.roleArn")
    match exchange:
        case StsExchange():
            workload.check_provider_arn(exchange.oidc_provider_arn, f"{place}.oidcProviderArn")
            _session(exchange, place)
        case DeveloperApiExchange():
            instance_id(exchange, identity, place)
    tuple(urls(exchange, identity, place))


def link(link: Link, exchange: Exchange, place: str) -> None:
    """Raises ConfigError at the first value of a chain's link that cannot work."""
    workload.check_role_arn(link.role_arn, f"{place}.roleArn")
    _session(link, place)
    link_endpoints(link, exchange, place)


def urls(exchange: Exchange, identity: Identity, place: str) -> Iterator[str]:
    """What it will talk to."""
    if isinstance(exchange, DeveloperApiExchange):
        yield developer_api(exchange, identity, place)
    else:
        yield from sts_endpoints(exchange, place)


def sts_endpoints(sts: StsExchange, place: str) -> tuple[str, ...]:
    """The STS URLs to try, in order. Raises ConfigError."""
    return places.sts_endpoints(region=sts.region_id, vpc=sts.vpc, explicit=sts.endpoints, place=place)


def link_endpoints(link: Link, exchange: Exchange, place: str) -> tuple[str, ...]:
    """The same for a link of a chain: its own, or those of the exchange's region where it names none."""
    own = link.endpoints is not None or link.region_id is not None or link.vpc
    if not own and isinstance(exchange, StsExchange):
        return sts_endpoints(exchange, place)
    where = link if own else exchange
    return places.sts_endpoints(region=where.region_id, vpc=where.vpc, explicit=link.endpoints, place=place)


def developer_api(exchange: DeveloperApiExchange, identity: Identity, place: str) -> str:
    """The DeveloperAPI's URL: the exchange's own, its region's, else the identity's. Raises ConfigError."""
    explicit = exchange.endpoint
    if explicit is None and exchange.region_id is None and isinstance(identity, IdaasIdentity):
        explicit = identity.developer_api_endpoint
    return places.developer_api(region=exchange.region_id, vpc=exchange.vpc, explicit=explicit, place=place)


def instance_id(exchange: DeveloperApiExchange, identity: Identity, place: str) -> str:
    """The IDaaS instance's id. Raises ConfigError where neither the exchange nor the identity says it."""
    own = identity.idaas_instance_id if isinstance(identity, IdaasIdentity) else None
    found = exchange.idaas_instance_id or own
    if not found:
        raise ConfigError(f"{place}.idaasInstanceId: required where the identity is no application of IDaaS")
    return found


def policy_text(policy: dict[str, Any] | str | None, place: str) -> str | None:
    """The session policy minified, as STS counts it. Raises ConfigError if it is no JSON object or too long."""
    if policy is None:
        return None
    try:
        value = json.loads(policy) if isinstance(policy, str) else policy
    except json.JSONDecodeError as error:
        raise ConfigError(f"{place}.policy: not JSON: {error.msg} at character {error.pos}") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{place}.policy: must be a JSON object")
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if len(text) > LONGEST_POLICY:
        raise ConfigError(f"{place}.policy: {len(text)} characters when minified; STS takes {LONGEST_POLICY}")
    return text


def _session(sts: StsExchange | Link, place: str) -> None:
    workload.check_session_name(str(sts.role_session_name), f"{place}.roleSessionName")
    policy_text(sts.policy, place)
