"""The regions of Alibaba Cloud, to recognise a name that is misspelt."""

from __future__ import annotations

import re

from ..core.text import similar

REGIONS = frozenset(
    {
        *("cn-qingdao", "cn-beijing", "cn-zhangjiakou", "cn-huhehaote", "cn-wulanchabu", "cn-hangzhou", "cn-shanghai"),
        *("cn-nanjing", "cn-fuzhou", "cn-shenzhen", "cn-heyuan", "cn-guangzhou", "cn-wuhan-lr", "cn-chengdu"),
        *("cn-hongkong", "ap-northeast-1", "ap-northeast-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3"),
        *("ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "ap-south-1", "us-east-1", "us-west-1", "na-south-1"),
        *("eu-west-1", "eu-central-1", "me-east-1", "me-central-1", "cn-hangzhou-finance", "cn-shanghai-finance-1"),
        *("cn-shenzhen-finance-1", "cn-beijing-finance-1", "cn-north-2-gov-1"),
    }
)
"""The known regions, from the lists of STS endpoints in the documentation and the SDKs. New regions may be missing."""


def misspelt(region: str) -> str | None:
    """
    Return the region that is probably meant; None for a known region, and for a name that resembles no region.

    A name that differs from a known region only in its number may be a new region of the same area, so it gets None.
    """
    if region in REGIONS or region.rstrip("0123456789") in {known.rstrip("0123456789") for known in REGIONS}:
        return None
    return similar(region.strip().lower(), sorted(REGIONS), 0.75)


_HOST = re.compile(r"(?:https?://)?[a-z0-9-]+\.([a-z0-9-]+)\.aliyuncs\.com(?![a-z0-9.-])", re.IGNORECASE)


def region_of(endpoint: str) -> str | None:
    """Return the region in the host of a regional endpoint, such as `sts.<region>.aliyuncs.com`; None without one."""
    found = _HOST.match(endpoint)
    return found[1].lower() if found is not None else None
