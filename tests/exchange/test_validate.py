"""The checks of an exchange and of chained roles, and the values that the keys have by default."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.config.decode import convert
from app.core.checks import require
from app.core.errors import ConfigError
from app.exchange import validate
from app.exchange.settings import PROVIDER_MANAGED, ChainedRole, DeveloperApiExchange, ExchangeSettings, StsExchange
from app.exchange.validate import IdaasInstance

ROLE = "acs:ram::1:role/a"
INSTANCE = IdaasInstance("idaas_1", "of-the-identity.example.com")
NONE = IdaasInstance()


def sts(**changes: Any) -> StsExchange:
    """Return an exchange with STS that is valid without the changes."""
    required = {"type": "sts", "roleArn": ROLE, "oidcProviderArn": "acs:ram::1:oidc-provider/p"}
    return convert({**required, "roleSessionName": "session-1", **changes}, StsExchange)


def developer_api(**changes: Any) -> DeveloperApiExchange:
    """Return an exchange with the DeveloperAPI that is valid without the changes."""
    return convert({"type": "developerApi", "roleArn": ROLE, **changes}, DeveloperApiExchange)


def chained(**changes: Any) -> ChainedRole:
    """Return a chained role that is valid without the changes."""
    return convert({"roleArn": ROLE, "roleSessionName": "session-1", **changes}, ChainedRole)


def test_valid_settings_pass() -> None:
    """An exchange of each type, and a chained role behind it, pass."""
    require(validate.checks(sts(), NONE, "exchange"))
    require(validate.checks(developer_api(), INSTANCE, "exchange"))
    require(validate.role_checks(chained(), sts(), "chain[0]", "exchange"))


NO_POLICY = "[]"
LONG_POLICY = {"a": "x" * 2_041}

INVALID: list[tuple[ExchangeSettings, IdaasInstance, str]] = [
    (sts(roleArn="x"), NONE, "exchange.roleArn: 'x' is not the ARN of a role"),
    (sts(oidcProviderArn="x"), NONE, "exchange.oidcProviderArn: 'x' is not the ARN of an OIDC provider"),
    (sts(roleSessionName="a b"), NONE, "exchange.roleSessionName: 'a b' must be 2 to 64 of"),
    (sts(policy=NO_POLICY), NONE, "exchange.policy: must be a JSON object"),
    (sts(endpoints=[]), NONE, "exchange.endpoints: empty"),
    (sts(vpc=True), NONE, "exchange.vpc: needs regionId"),
    (developer_api(roleArn="x"), INSTANCE, "exchange.roleArn: 'x' is not the ARN of a role"),
    (developer_api(), NONE, "exchange.idaasInstanceId: required where the identity is not an application of IDaaS"),
    (developer_api(idaasInstanceId="idaas_2"), NONE, "exchange.regionId: required to find the DeveloperAPI"),
]


@pytest.mark.parametrize(("exchange", "instance", "message"), INVALID, ids=[message for _, _, message in INVALID])
def test_invalid_exchange_is_refused(exchange: ExchangeSettings, instance: IdaasInstance, message: str) -> None:
    """Each value that cannot work is refused with its key."""
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        require(validate.checks(exchange, instance, "exchange"))


INVALID_ROLES = [
    (chained(roleArn="x"), "chain[0].roleArn: 'x' is not the ARN of a role"),
    (chained(roleSessionName="a b"), "chain[0].roleSessionName: 'a b' must be 2 to 64 of"),
    (chained(policy=NO_POLICY), "chain[0].policy: must be a JSON object"),
    (chained(endpoints=[]), "chain[0].endpoints: empty"),
    (chained(vpc=True), "chain[0].vpc: needs regionId"),
]


@pytest.mark.parametrize(("role", "message"), INVALID_ROLES, ids=[message for _, message in INVALID_ROLES])
def test_invalid_chained_role_is_refused(role: ChainedRole, message: str) -> None:
    """Each value of a chained role that cannot work is refused with its key."""
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        require(validate.role_checks(role, sts(), "chain[0]", "exchange"))


@pytest.mark.parametrize(
    ("exchange", "instance", "found"),
    [
        (developer_api(), INSTANCE, "idaas_1"),
        (developer_api(idaasInstanceId="idaas_2"), INSTANCE, "idaas_2"),
        (developer_api(idaasInstanceId="idaas_2"), NONE, "idaas_2"),
    ],
)
def test_instance_of_the_exchange_comes_first(
    exchange: DeveloperApiExchange, instance: IdaasInstance, found: str
) -> None:
    """The exchange's own instance is used, else the identity's."""
    assert validate.instance_id(exchange, instance, "exchange") == found


@pytest.mark.parametrize(
    ("exchange", "urls"),
    [
        (sts(), ["https://sts.aliyuncs.com"]),
        (sts(endpoints=["a.example.com", "http://127.0.0.1:1"]), ["https://a.example.com", "http://127.0.0.1:1"]),
        (developer_api(), ["https://of-the-identity.example.com"]),
        (developer_api(regionId="cn-hangzhou"), ["https://eiam-developerapi.cn-hangzhou.aliyuncs.com"]),
        (developer_api(endpoint="own.example.com", regionId="cn-hangzhou"), ["https://own.example.com"]),
        (developer_api(endpoint="own.example.com"), ["https://own.example.com"]),
    ],
)
def test_urls_that_are_contacted(exchange: ExchangeSettings, urls: list[str]) -> None:
    """The exchange contacts its endpoints in order, else those of its region, else the identity's DeveloperAPI."""
    assert list(validate.urls(exchange, INSTANCE, "exchange")) == urls


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (None, None),
        ({}, "{}"),
        ('{ "Version": "1",\n "Statement": [ ] }', '{"Version":"1","Statement":[]}'),
        ({"Version": "1", "a": ["\u4e2d", True]}, '{"Version":"1","a":["\u4e2d",true]}'),
        ({"a": "x" * 2_040}, '{"a":"' + "x" * 2_040 + '"}'),
        ({"a": "\u4e2d" * 2_040}, '{"a":"' + "\u4e2d" * 2_040 + '"}'),
    ],
    ids=["none", "empty", "text", "characters", "longest", "longest, not ASCII"],
)
def test_policy_is_minified(policy: Any, text: str | None) -> None:
    """A policy is sent without white space and without escapes: STS counts its characters, at most 2048."""
    assert validate.policy_text(policy, "exchange") == text


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (LONG_POLICY, "exchange.policy: 2049 characters when minified; STS takes 2048"),
        ("{", "exchange.policy: not JSON: Expecting property name enclosed in double quotes at character 1"),
        ("", "exchange.policy: not JSON: Expecting value at character 0"),
        ('{"a":' * 100_000, "exchange.policy: nested too deeply"),
        ("[" * 200 + "]" * 200, "exchange.policy: nested too deeply"),
        ("1" * 5_000, "exchange.policy: not JSON: a number is too long"),
        ("[]", "exchange.policy: must be a JSON object"),
        ('"x"', "exchange.policy: must be a JSON object"),
    ],
    ids=["too long", "cut", "empty", "deep and cut", "deep", "long number", "array", "string"],
)
def test_invalid_policy_is_refused(policy: Any, message: str) -> None:
    """A policy that STS would refuse for its form or length is refused with the reason."""
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$") as caught:
        validate.policy_text(policy, "exchange")

    assert caught.value.error_code == "IDS-118"


def test_missing_instance_has_the_code_of_a_missing_key() -> None:
    """An instance id that nothing names is a missing key."""
    with pytest.raises(ConfigError, match="idaasInstanceId: required") as caught:
        require(validate.checks(developer_api(), NONE, "exchange"))

    assert caught.value.error_code == "IDS-106"


def test_defaults_of_the_settings() -> None:
    """A session lasts an hour unless the role decides, and no region means the global endpoint outside a VPC."""
    minimal = convert({"type": "sts", "roleArn": ROLE, "oidcProviderArn": "p"}, StsExchange)
    role = convert({"roleArn": ROLE}, ChainedRole)

    assert (minimal.duration_seconds, minimal.vpc, minimal.policy) == (3600, False, None)
    assert (role.duration_seconds, role.vpc, role.policy) == (3600, False, None)
    assert (developer_api().duration_seconds, developer_api().vpc) == (None, False)
    assert PROVIDER_MANAGED == "urn:cloud:idaas:pam|cloud_account_role:obtain_access_credential"
