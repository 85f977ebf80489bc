"""The regions that are known, and the suggestions for names that are not."""

from __future__ import annotations

import pytest

from app.exchange.regions import REGIONS, misspelt

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
