"""Checks of the exchange and the chain of a profile, and what they are made of. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from ..core import arns, endpoints
from ..core import urls as core_urls
from ..core.checks import Check, check, key_paths
from ..core.errors import ConfigError
from ..core.json_text import TooDeep, json_value
from .settings import ChainedRole, DeveloperApiExchange, ExchangeSettings, StsExchange


class IdaasInstance(NamedTuple):
    """
    What the identity of the same profile says about its IDaaS instance; None where it is not an IDaaS one.

    `place`: where the identity is configured.
    """

    id: str | None = None
    developer_api_endpoint: str | None = None
    place: str = "identity"


LONGEST_POLICY = 2048
"""The most characters of a policy (AssumeRoleWithOIDC's Policy)."""


def checks(exchange: ExchangeSettings, instance: IdaasInstance, place: str) -> Iterator[Check]:
    """Yield the checks of values that cannot work. `instance` may have the values that the exchange lacks."""
    yield check(arns.check_role_arn, exchange.role_arn, f"{place}.roleArn")
    match exchange:
        case StsExchange():
            yield check(arns.check_provider_arn, exchange.oidc_provider_arn, f"{place}.oidcProviderArn")
            yield from _session(exchange, place)
            yield from _sts_endpoints(exchange, place)
        case DeveloperApiExchange():
            theirs = key_paths(instance.place, "idaasInstanceId", "developerApiEndpoint")
            yield check(instance_id, exchange, instance, place, needs=(f"{place}.idaasInstanceId", theirs[0]))
            ours = key_paths(place, "endpoint", "regionId")
            yield check(developer_api, exchange, instance, place, needs=(*ours, theirs[1]))


def role_checks(role: ChainedRole, exchange: ExchangeSettings, place: str, exchange_place: str) -> Iterator[Check]:
    """Yield the checks of a chained role. `exchange_place`: the exchange whose region it may use."""
    yield check(arns.check_role_arn, role.role_arn, f"{place}.roleArn")
    yield from _session(role, place)
    if _has_endpoints(role):
        yield from _sts_endpoints(role, place)
    elif isinstance(exchange, DeveloperApiExchange):
        where = key_paths(exchange_place, "regionId", "vpc")
        yield check(chained_endpoints, role, exchange, exchange_place, needs=where)


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
    own = _has_endpoints(role)
    if not own and isinstance(exchange, StsExchange):
        return sts_endpoints(exchange, place)
    where = role if own else exchange
    return endpoints.sts_endpoints(region=where.region_id, vpc=where.vpc, explicit=role.endpoints, place=place)


def developer_api(exchange: DeveloperApiExchange, instance: IdaasInstance, place: str) -> str:
    """Return the DeveloperAPI's URL: that of the exchange, of its region, or of the identity. Raises ConfigError."""
    own = exchange.endpoint is not None or exchange.region_id is not None
    if not own and instance.developer_api_endpoint is not None:
        return core_urls.api_endpoint(instance.developer_api_endpoint, f"{instance.place}.developerApiEndpoint")
    return endpoints.developer_api(region=exchange.region_id, vpc=exchange.vpc, explicit=exchange.endpoint, place=place)


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
        value = json_value(policy) if isinstance(policy, str) else policy
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{place}.policy: not JSON: {error.msg} at character {error.pos}", error_code="IDS-118"
        ) from None
    except TooDeep as error:
        raise ConfigError(f"{place}.policy: {error}", error_code="IDS-118") from None
    except ValueError:
        raise ConfigError(f"{place}.policy: not JSON: a number is too long", error_code="IDS-118") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{place}.policy: must be a JSON object", error_code="IDS-118")
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if len(text) > LONGEST_POLICY:
        raise ConfigError(
            f"{place}.policy: {len(text)} characters when minified; STS takes {LONGEST_POLICY}", error_code="IDS-118"
        )
    return text


def _has_endpoints(role: ChainedRole) -> bool:
    """Return whether a chained role has endpoints of its own, or a region."""
    return role.endpoints is not None or role.region_id is not None or role.vpc


def _sts_endpoints(sts: StsExchange | ChainedRole, place: str) -> Iterator[Check]:
    if sts.endpoints:
        for index, url in enumerate(sts.endpoints):
            yield check(endpoints.sts_endpoint, url, f"{place}.endpoints[{index}]")
        return
    needs = key_paths(place, "endpoints", "regionId")
    select = partial(endpoints.sts_endpoints, region=sts.region_id, vpc=sts.vpc, explicit=sts.endpoints, place=place)
    yield check(select, needs=needs)


def _session(sts: StsExchange | ChainedRole, place: str) -> Iterator[Check]:
    yield check(arns.check_session_name, str(sts.role_session_name), f"{place}.roleSessionName")
    yield check(policy_text, sts.policy, place)
