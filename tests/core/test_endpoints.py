"""The selection of the endpoints of STS and of the DeveloperAPI."""

from __future__ import annotations

from typing import Any

import pytest

from app.core import endpoints
from app.core.errors import ConfigError

GLOBAL_ENDPOINT = ("https://sts.aliyuncs.com",)
STS_ENDPOINTS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, GLOBAL_ENDPOINT),
    ({"region": "cn-hangzhou"}, ("https://sts.cn-hangzhou.aliyuncs.com",)),
    ({"region": "cn-hangzhou", "vpc": True}, ("https://sts-vpc.cn-hangzhou.aliyuncs.com",)),
    ({"region": "cn-hangzhou-finance"}, ("https://sts.cn-hangzhou.aliyuncs.com",)),
    ({"region": "ap-south-1"}, GLOBAL_ENDPOINT),
    ({"region": "ap-southeast-2"}, GLOBAL_ENDPOINT),
    ({"region": "cn-beijing-gov-1"}, GLOBAL_ENDPOINT),
    ({"region": "ap-south-1", "vpc": True}, ("https://sts-vpc.ap-south-1.aliyuncs.com",)),
    ({"explicit": ["sts.example.com"]}, ("https://sts.example.com",)),
    (
        {"region": "x", "explicit": ["https://a.example.com/", "https://b.example.com"]},
        ("https://a.example.com", "https://b.example.com"),
    ),
    ({"explicit": ["http://127.0.0.1:7140"]}, ("http://127.0.0.1:7140",)),
    ({"explicit": ["https://a.example.com/~/"]}, ("https://a.example.com/~",)),
]


@pytest.mark.parametrize(
    ("settings", "expected"), STS_ENDPOINTS, ids=[f"{number}" for number in range(len(STS_ENDPOINTS))]
)
def test_sts_endpoints_are_selected(settings: dict[str, Any], expected: tuple[str, ...]) -> None:
    """As in the official SDKs: explicit endpoints in their order, else the region's, else the global one."""
    arguments = {"region": None, "vpc": False, "explicit": None, "place": "exchange", **settings}

    assert endpoints.sts_endpoints(**arguments) == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"explicit": []}, "exchange.endpoints: empty; add an endpoint, or remove the key to use the region's"),
        (
            {"explicit": ["a.example.com", "b c"]},
            "exchange.endpoints[1]: 'https://b c' has ' ', which a URL cannot have",
        ),
        ({"vpc": True}, "exchange.vpc: needs regionId; a VPC endpoint belongs to one region"),
        (
            {"region": "x"},
            "exchange.regionId: 'x' is not a region's id; write an id of small letters, digits and hyphens",
        ),
        ({"region": "cn.example.com/"}, "exchange.regionId: 'cn.example.com/' is not a region's id"),
    ],
)
def test_invalid_sts_endpoint_is_refused(settings: dict[str, Any], message: str) -> None:
    """An endpoint, a region or a combination of both that cannot work is refused with its key."""
    with pytest.raises(ConfigError) as caught:
        endpoints.sts_endpoints(**{"region": None, "vpc": False, "explicit": None, "place": "exchange", **settings})

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"region": "cn-hangzhou"}, "https://eiam-developerapi.cn-hangzhou.aliyuncs.com"),
        ({"region": "us-west-1"}, "https://eiam-developerapi.us-west-1.aliyuncs.com"),
        ({"region": "cn-hangzhou", "vpc": True}, "https://eiam-developerapi-cn.vpc-proxy.aliyuncs.com"),
        ({"region": "cn-hongkong", "vpc": True}, "https://eiam-developerapi-hk.vpc-proxy.aliyuncs.com"),
        ({"region": "ap-southeast-1", "vpc": True}, "https://eiam-developerapi-sg.vpc-proxy.aliyuncs.com"),
        ({"region": "ap-southeast-5", "vpc": True}, "https://eiam-developerapi-jk.vpc-proxy.aliyuncs.com"),
        ({"region": "ap-northeast-2", "vpc": True}, "https://eiam-developerapi-sel.vpc-proxy.aliyuncs.com"),
        ({"region": "eu-central-1", "vpc": True}, "https://eiam-developerapi-eu.vpc-proxy.aliyuncs.com"),
        ({"region": "cn-hangzhou", "explicit": "api.example.com"}, "https://api.example.com"),
        ({"explicit": "http://127.0.0.1:7140/path"}, "http://127.0.0.1:7140"),
    ],
)
def test_developer_api_is_selected(settings: dict[str, Any], expected: str) -> None:
    """The explicit endpoint of the DeveloperAPI wins; otherwise it is the region's, or the one in the region's VPC."""
    assert (
        endpoints.developer_api(**{"region": None, "vpc": False, "explicit": None, **settings}, place="x") == expected
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {},
            "exchange.regionId: required to find the DeveloperAPI, unless exchange.endpoint or the identity's "
            "developerApiEndpoint is set",
        ),
        (
            {"region": "CN"},
            "exchange.regionId: 'CN' is not a region's id; write an id of small letters, digits and hyphens, such as "
            "cn-hangzhou",
        ),
        (
            {"region": "us-west-1", "vpc": True},
            "exchange.vpc: us-west-1 has no VPC endpoint; these regions have one: cn-hangzhou, cn-hongkong, "
            "ap-southeast-1, ap-southeast-5, ap-northeast-2, eu-central-1",
        ),
        ({"explicit": "ftp://x"}, "exchange.endpoint: 'ftp://x' is not a URL of the form https://host/path"),
    ],
)
def test_developer_api_that_cannot_be_found_is_refused(settings: dict[str, Any], message: str) -> None:
    """A region without the DeveloperAPI, or none at all, is refused with its key."""
    with pytest.raises(ConfigError) as caught:
        endpoints.developer_api(**{"region": None, "vpc": False, "explicit": None, **settings}, place="exchange")

    assert str(caught.value) == message
