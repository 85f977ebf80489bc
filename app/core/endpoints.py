"""The endpoints of STS and of the IDaaS DeveloperAPI: explicit endpoints, or the endpoints of a region. Pure."""

from __future__ import annotations

import re

from .errors import ConfigError
from .urls import api_endpoint, endpoint

_GLOBAL_STS = frozenset({"ap-south-1", "ap-southeast-2", "cn-beijing-gov-1"})
"""The regions that use the global endpoint, from the table in the STS SDK."""

_DEVELOPER_API_VPC = {
    "cn-hangzhou": "cn",
    "cn-hongkong": "hk",
    "ap-southeast-1": "sg",
    "ap-southeast-5": "jk",
    "ap-northeast-2": "sel",
    "eu-central-1": "eu",
}
"""The regions of IDaaS with the abbreviations in their VPC hosts (DOC api-eiam-developerapi-2022-02-25-endpoint)."""


def sts_endpoints(*, region: str | None, vpc: bool, explicit: list[str] | None, place: str) -> tuple[str, ...]:
    """Return the STS URLs in order: explicit ones, else the region's, else the global one. Raises ConfigError."""
    if explicit is not None:
        if not explicit:
            raise ConfigError(
                f"{place}.endpoints: empty",
                cure="add an endpoint, or remove the key to use the region's",
                error_code="IDS-105",
            )
        return tuple(sts_endpoint(url, f"{place}.endpoints[{index}]") for index, url in enumerate(explicit))
    if region is None:
        if vpc:
            raise ConfigError(
                f"{place}.vpc: needs regionId; a VPC endpoint belongs to one region", error_code="IDS-106"
            )
        return ("https://sts.aliyuncs.com",)
    _check_region(region, place)
    if region in _GLOBAL_STS and not vpc:
        return ("https://sts.aliyuncs.com",)
    # A finance region uses the STS of its base region (ack-ram-tool maps cn-hangzhou-finance this way).
    return (f"https://{'sts-vpc' if vpc else 'sts'}.{region.removesuffix('-finance')}.aliyuncs.com",)


def sts_endpoint(text: str, place: str) -> str:
    """Return the URL of an explicit STS endpoint, a host or a URL. Raises ConfigError."""
    return endpoint(text if "://" in text else f"https://{text}", place).rstrip("/")


def developer_api(*, region: str | None, vpc: bool, explicit: str | None, place: str) -> str:
    """Return the URL of the DeveloperAPI: the explicit one, else the region's. Raises ConfigError."""
    if explicit is not None:
        return api_endpoint(explicit, f"{place}.endpoint")
    if region is None:
        raise ConfigError(
            f"{place}.regionId: required to find the DeveloperAPI, unless {place}.endpoint or the identity's "
            "developerApiEndpoint is set",
            error_code="IDS-106",
        )
    _check_region(region, place)
    if not vpc:
        return f"https://eiam-developerapi.{region}.aliyuncs.com"
    if region not in _DEVELOPER_API_VPC:
        raise ConfigError(
            f"{place}.vpc: {region} has no VPC endpoint; these regions have one: {', '.join(_DEVELOPER_API_VPC)}",
            error_code="IDS-114",
        )
    return f"https://eiam-developerapi-{_DEVELOPER_API_VPC[region]}.vpc-proxy.aliyuncs.com"


def _check_region(region: str, place: str) -> None:
    if not re.fullmatch(r"[a-z0-9-]{2,40}", region):
        raise ConfigError(
            f"{place}.regionId: {region!r} is not a region's id",
            cure="write an id of small letters, digits and hyphens, such as cn-hangzhou",
            error_code="IDS-114",
        )
