"""Session names, ARNs and the scope grammar."""

from __future__ import annotations

import re

import pytest

from app.core import arns
from app.core.errors import ConfigError

POD = {"POD_NAMESPACE": "shop", "POD_NAME": "cart-7c9d-x2x4z"}


@pytest.mark.parametrize(
    ("environ", "hostname", "expected", "source"),
    [
        (POD, "h", "shop.cart-7c9d-x2x4z", "environment POD_NAMESPACE and POD_NAME"),
        ({"POD_NAME": "cart-1"}, "h", "cart-1", "environment POD_NAME"),
        ({"POD_NAMESPACE": "shop"}, "host-1.example", "host-1.example", "host name"),
        ({}, "host 1/ä", "host_1__", "host name"),
        ({}, "h", "h-", "host name"),
        ({}, "", "unknown", "host name"),
    ],
)
def test_default_session_name_and_its_source(
    environ: dict[str, str], hostname: str, expected: str, source: str
) -> None:
    """The default is the pod's name, else the host name, in STS's alphabet and with at least two characters."""
    assert arns.default_session_name(environ, hostname) == (expected, source)


def test_long_session_name_ends_in_a_hash() -> None:
    """A shortened name ends in a hash of the complete name, which is the same at every start."""
    names = [f"{'n' * 63}.{'p' * 200}-{number}" for number in range(2)]

    first, second = map(arns.shortened, names)

    assert first != second
    assert len(first) == len(second) == 64
    assert first == arns.shortened(names[0])
    assert re.fullmatch(r"n{55}-[0-9a-f]{8}", first)


@pytest.mark.parametrize("name", ["ab", "a" * 64])
def test_name_that_fits_is_not_shortened(name: str) -> None:
    """A name of 2 to 64 characters is the session name as it is."""
    assert arns.shortened(name) == name


@pytest.mark.parametrize("name", ["ab", "a" * 64, "A.b@c-d_9"])
def test_valid_session_name_is_accepted(name: str) -> None:
    """A session name has 2 to 64 characters of STS's alphabet."""
    arns.check_session_name(name, "roleSessionName")


@pytest.mark.parametrize("name", ["", "a", "a" * 65, "a b", "a/b", "ab\n", "ä-ö"])
def test_invalid_session_name_is_refused(name: str) -> None:
    """A session name that STS would refuse is refused before any request."""
    with pytest.raises(ConfigError, match=r"^roleSessionName: .* must be 2 to 64 of"):
        arns.check_session_name(name, "roleSessionName")


def test_valid_arns_are_accepted() -> None:
    """Well-formed ARNs of a role and of an OIDC provider are accepted."""
    arns.check_role_arn("acs:ram::1234567890123456:role/app-role.v2_x", "roleArn")
    arns.check_provider_arn("acs:ram::1234567890123456:oidc-provider/idaas", "oidcProviderArn")


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "app-role",
        "acs:ram::1234567890123456:user/app",
        "acs:ram::1234567890123456:oidc-provider/idaas",
        "acs:ram::account:role/app",
        "acs:ram:cn-hangzhou:1234567890123456:role/app",
        "acs:ram::1234567890123456:role/",
        "acs:ram::1234567890123456:role/a/b",
        "arn:aws:iam::123456789012:role/app",
        "acs:ram::1234567890123456:role/app\n",
    ],
)
def test_invalid_role_arn_is_refused(arn: str) -> None:
    """Any other text is refused with the format of a role's ARN."""
    with pytest.raises(ConfigError, match=r"^roleArn: .* which has the form acs:ram::<account id>:role/<name>$"):
        arns.check_role_arn(arn, "roleArn")


def test_letters_that_look_alike_are_told_apart() -> None:
    """A hyphen of a text processor is shown as its code, because RAM's names have none."""
    with pytest.raises(ConfigError, match=r"role/app\\u2010role' is not"):
        arns.check_role_arn("acs:ram::1234567890123456:role/app\u2010role", "roleArn")


def test_role_arn_is_not_a_provider_arn() -> None:
    """A role's ARN is refused as the ARN of an OIDC provider."""
    form = "acs:ram::<account id>:oidc-provider/<name>"
    with pytest.raises(ConfigError, match=rf"^oidcProviderArn: .* which has the form {form}$"):
        arns.check_provider_arn("acs:ram::1234567890123456:role/idaas", "oidcProviderArn")


@pytest.mark.parametrize(
    ("scope", "audience"),
    [
        ("api.example.com|.all", "api.example.com"),
        ("api.example.com|read api.example.com|write", "api.example.com"),
        ("  api.example.com|read\tapi.example.com|write\n", "api.example.com"),
        ("urn:cloud:idaas:pam|.all", "urn:cloud:idaas:pam"),
        ("api://x.example.com|a:b/c", "api://x.example.com"),
    ],
)
def test_valid_scope_gives_its_audience(scope: str, audience: str) -> None:
    """A scope has any number of `<audience>|<value>` items with the same audience, which is returned."""
    assert arns.audience_of(scope, "scope") == audience


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        ("", "empty; write <audience>|<value>"),
        (" ", "empty"),
        ("openid", "'openid' must read <audience>|<value> with exactly one |"),
        ("a|b offline_access", "'offline_access' must read"),
        ("a|b|c", "'a|b|c' must read"),
        ("|b", "'|b' must read"),
        ("a|", "'a|' must read"),
        ("a|b c|d", "names 2 audiences (a, c); a token has one"),
    ],
)
def test_invalid_scope_is_refused(scope: str, message: str) -> None:
    """A scope that breaks the SDK's grammar is refused before any request to the cloud."""
    with pytest.raises(ConfigError) as caught:
        arns.audience_of(scope, "scope")

    assert str(caught.value).startswith(f"scope: {message}")
