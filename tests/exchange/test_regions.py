"""The regions that are known, and the suggestions for names that are not."""

from __future__ import annotations

import pytest

from app.exchange.regions import REGIONS, misspelt, region_of

# fmt: off
ENDPOINTS = [
    "ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3",
    "ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "cn-beijing", "cn-beijing-finance-1", "cn-chengdu",
    "cn-fuzhou", "cn-guangzhou", "cn-hangzhou", "cn-hangzhou-finance", "cn-heyuan", "cn-hongkong",
    "cn-huhehaote", "cn-nanjing", "cn-north-2-gov-1", "cn-qingdao", "cn-shanghai", "cn-shanghai-finance-1",
    "cn-shenzhen", "cn-shenzhen-finance-1", "cn-wuhan-lr", "cn-wulanchabu", "cn-zhangjiakou", "eu-central-1",
    "eu-west-1", "me-central-1", "me-east-1", "na-south-1", "us-east-1", "us-west-1",
]
# fmt: on
"""The regions in the documentation's list of STS endpoints; a region that is removed here by mistake gets a warning."""


def test_every_documented_region_is_known() -> None:
    """No name of the documentation is called misspelt, and the program knows no other."""
    assert sorted(REGIONS) == ENDPOINTS
    assert [name for name in ENDPOINTS if misspelt(name)] == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("cn-hangzou", "cn-hangzhou"),
        (" CN-Hangzhou", "cn-hangzhou"),
        ("hangzhou", "cn-hangzhou"),
        ("us-west-2", None),
        ("eu-central-12", None),
        ("example", None),
        ("cn", None),
    ],
)
def test_misspelt_name_gets_a_suggestion(name: str, meant: str | None) -> None:
    """A name close to a known one is misspelt; one that differs in its number, or resembles none, may be new."""
    assert misspelt(name) == meant


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        ("sts.cn-hangzou.aliyuncs.com", "cn-hangzou"),
        ("https://STS-vpc.CN-beijing.aliyuncs.com:443/", "cn-beijing"),
        ("eiam-developerapi-cn.vpc-proxy.aliyuncs.com", "vpc-proxy"),
        ("sts.aliyuncs.com", None),
        ("https://sts.cn-hangzou.aliyuncs.com.example.com", None),
        ("https://sts.example.com/sts.cn-hangzou.aliyuncs.com", None),
    ],
)
def test_region_of_an_endpoint(endpoint: str, region: str | None) -> None:
    """The host of a regional endpoint has the region between product and domain; no other host has one."""
    assert region_of(endpoint) == region


def test_hosts_without_a_region_are_not_misspelt() -> None:
    """The region label of a host that is not a region resembles no region."""
    assert misspelt("vpc-proxy") is None
