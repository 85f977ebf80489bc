"""Checks of the exchange and the chain of a profile. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..core import arns, endpoints
from ..core.errors import ConfigError
from .settings import ChainedRole, DeveloperApiExchange, ExchangeSettings, StsExchange


class IdaasInstance(NamedTuple):
    """The IDaaS instance of the same profile's identity. Both members are None for an identity without IDaaS."""

    id: str | None = None
    developer_api_endpoint: str | None = None


LONGEST_POLICY = 2048
"""The most characters of a policy (AssumeRoleWithOIDC's Policy)."""


def settings(exchange: ExchangeSettings, instance: IdaasInstance, place: str) -> None:
    """Raise ConfigError at the first value that cannot work. `instance` may supply values that the exchange lacks."""
    arns.check_role_arn(exchange.role_arn, f"{place}.roleArn")
    match exchange:
        case StsExchange():
            arns.check_provider_arn(exchange.oidc_provider_arn, f"{place}.oidcProviderArn")
            _session(exchange, place)
        case DeveloperApiExchange():
            instance_id(exchange, instance, place)
    tuple(urls(exchange, instance, place))


def role(role: ChainedRole, exchange: ExchangeSettings, place: str) -> None:
    """Raise ConfigError at the first value of a chained role that cannot work."""
    arns.check_role_arn(role.role_arn, f"{place}.roleArn")
    _session(role, place)
    chained_endpoints(role, exchange, place)


def urls(exchange: ExchangeSettings, instance: IdaasInstance, place: str) -> Iterator[str]:
    """Yield the URLs that the exchange contacts."""
    if isinstance(exchange, DeveloperApiExchange):
        yield developer_api(exchange, instance, place)
    else:
        yield from sts_endpoints(exchange, place)


def sts_endpoints(sts: StsExchange, place: str) -> tuple[str, ...]:
    """Return the STS URLs to try, in order. Raises ConfigError."""
    return endpoints.sts_endpoints(region=sts.region_id, vpc=sts.vpc, explicit=sts.endpoints, place=place)


def chained_endpoints(role: ChainedRole, exchange: ExchangeSettings, place: str) -> tuple[str, ...]:
    """Return the STS URLs for a chained role: its own, or those of the exchange's region if the role has no region."""
    own = role.endpoints is not None or role.region_id is not None or role.vpc
    if not own and isinstance(exchange, StsExchange):
        return sts_endpoints(exchange, place)
    where = role if own else exchange
    return endpoints.sts_endpoints(region=where.region_id, vpc=where.vpc, explicit=role.endpoints, place=place)


def developer_api(exchange: DeveloperApiExchange, instance: IdaasInstance, place: str) -> str:
    """Return the DeveloperAPI's URL: that of the exchange, of its region, or of the identity. Raises ConfigError."""
    explicit = exchange.endpoint
    if explicit is None and exchange.region_id is None:
        explicit = instance.developer_api_endpoint
    return endpoints.developer_api(region=exchange.region_id, vpc=exchange.vpc, explicit=explicit, place=place)


def instance_id(exchange: DeveloperApiExchange, instance: IdaasInstance, place: str) -> str:
    """Return the IDaaS instance's id. Raises ConfigError if neither the exchange nor the identity names it."""
    found = exchange.idaas_instance_id or instance.id
    if not found:
        raise ConfigError(
            f"{place}.idaasInstanceId: required where the identity is not an application of IDaaS", error_code="IDS-106"
        )
    return found


def policy_text(policy: dict[str, Any] | str | None, place: str) -> str | None:
    """Return the policy minified: STS counts this form. Raises ConfigError if it is not a JSON object or too long."""
    if policy is None:
        return None
    try:
        value = json.loads(policy) if isinstance(policy, str) else policy
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{place}.policy: not JSON: {error.msg} at character {error.pos}", error_code="IDS-118"
        ) from None
    if not isinstance(value, dict):
        raise ConfigError(f"{place}.policy: must be a JSON object", error_code="IDS-118")
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if len(text) > LONGEST_POLICY:
        raise ConfigError(
            f"{place}.policy: {len(text)} characters when minified; STS takes {LONGEST_POLICY}", error_code="IDS-118"
        )
    return text


def _session(sts: StsExchange | ChainedRole, place: str) -> None:
    arns.check_session_name(str(sts.role_session_name), f"{place}.roleSessionName")
    policy_text(sts.policy, place)
