"""Whether the exchange and the chain of a profile can work. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..core import addresses, arns
from ..core.model import ConfigError
from .settings import DeveloperApiExchange, Exchange, Link, StsExchange


class IdaasInstance(NamedTuple):
    """What the identity of the same profile says about its IDaaS instance; both None where it is not an IDaaS one."""

    id: str | None = None
    developer_api_endpoint: str | None = None


LONGEST_POLICY = 2048
"""Characters (AssumeRoleWithOIDC's Policy)."""


def settings(exchange: Exchange, instance: IdaasInstance, place: str) -> None:
    """Raises ConfigError at the first value that cannot work. `instance` may say what the exchange leaves out."""
    arns.check_role_arn(exchange.role_arn, f"{place}.roleArn")
    match exchange:
        case StsExchange():
            arns.check_provider_arn(exchange.oidc_provider_arn, f"{place}.oidcProviderArn")
            _session(exchange, place)
        case DeveloperApiExchange():
            instance_id(exchange, instance, place)
    tuple(urls(exchange, instance, place))


def link(link: Link, exchange: Exchange, place: str) -> None:
    """Raises ConfigError at the first value of a chain's link that cannot work."""
    arns.check_role_arn(link.role_arn, f"{place}.roleArn")
    _session(link, place)
    link_endpoints(link, exchange, place)


def urls(exchange: Exchange, instance: IdaasInstance, place: str) -> Iterator[str]:
    """What it will talk to."""
    if isinstance(exchange, DeveloperApiExchange):
        yield developer_api(exchange, instance, place)
    else:
        yield from sts_endpoints(exchange, place)


def sts_endpoints(sts: StsExchange, place: str) -> tuple[str, ...]:
    """The STS URLs to try, in order. Raises ConfigError."""
    return addresses.sts_endpoints(region=sts.region_id, vpc=sts.vpc, explicit=sts.endpoints, place=place)


def link_endpoints(link: Link, exchange: Exchange, place: str) -> tuple[str, ...]:
    """The same for a link of a chain: its own, or those of the exchange's region where it names none."""
    own = link.endpoints is not None or link.region_id is not None or link.vpc
    if not own and isinstance(exchange, StsExchange):
        return sts_endpoints(exchange, place)
    where = link if own else exchange
    return addresses.sts_endpoints(region=where.region_id, vpc=where.vpc, explicit=link.endpoints, place=place)


def developer_api(exchange: DeveloperApiExchange, instance: IdaasInstance, place: str) -> str:
    """The DeveloperAPI's URL: the exchange's own, its region's, else the identity's. Raises ConfigError."""
    explicit = exchange.endpoint
    if explicit is None and exchange.region_id is None:
        explicit = instance.developer_api_endpoint
    return addresses.developer_api(region=exchange.region_id, vpc=exchange.vpc, explicit=explicit, place=place)


def instance_id(exchange: DeveloperApiExchange, instance: IdaasInstance, place: str) -> str:
    """The IDaaS instance's id. Raises ConfigError where neither the exchange nor the identity says it."""
    found = exchange.idaas_instance_id or instance.id
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
    arns.check_session_name(str(sts.role_session_name), f"{place}.roleSessionName")
    policy_text(sts.policy, place)
