"""app/doctor/trust_policy.py and compare.py: the role's trust policy as RAM evaluates it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.doctor.compare import closest, marked
from app.doctor.token_request import TokenRequest
from app.doctor.trust_policy import findings, unexamined
from app.identity.jwt_claims import Claims
from app.identity.token_file import TokenFileIdentity
from app.setup.trust_policy import OidcTrust, RoleTrust, document

ARN = "acs:ram::1:oidc-provider/idaas"
ISSUER = "https://idaas.example/oauth2"
REQUEST = TokenRequest(TokenFileIdentity(token_file="/var/run/token"), "profiles.default.identity")
CLAIMS = Claims(ISSUER, ("api.example.com",), "app_1", 0.0, 1200.0)


def codes(policy: Any, claims: Claims = CLAIMS) -> list[str]:
    """Return the codes of the findings."""
    text = policy if isinstance(policy, str) else json.dumps(policy)
    return [finding.code for finding in findings(text, ARN, claims, REQUEST)]


def trust(**changes: Any) -> OidcTrust:
    """Return the trust in the token, with changes."""
    values: dict[str, Any] = {
        "provider_arn": ARN,
        "issuer": ISSUER,
        "audience": "api.example.com",
        "subjects": ("app_1",),
    }
    return OidcTrust(**(values | changes))


def test_policy_of_setup_is_healthy() -> None:
    """The policy that `setup` prints trusts the token, also beside other statements and with wildcards."""
    other = trust(subjects=("app_2",), audience="other.example")

    assert codes(document([trust()])) == []
    assert codes(document([RoleTrust("acs:ram::1:role/other"), other, trust()])) == []
    assert codes(document([trust(subjects=("app_*",))])) == []
    assert codes(document([trust(subjects=("app_?",))])) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"audience": "api.example.org"}, "IDS-429"),
        ({"issuer": f"{ISSUER}/"}, "IDS-430"),
        ({"subjects": ("app_2",)}, "IDS-431"),
        ({"subjects": ("APP_*",)}, "IDS-431"),
        ({"subjects": ("app_1?",)}, "IDS-431"),
        ({"provider_arn": f"{ARN}x"}, "IDS-432"),
    ],
)
def test_each_difference_has_a_code(changes: dict[str, Any], code: str) -> None:
    """A condition that the token does not meet is found by its code."""
    assert codes(document([trust(**changes)])) == [code]


def test_answer_of_get_role_is_read() -> None:
    """The whole answer of GetRole may be given: its policy is text within JSON."""
    policy = json.dumps(document([trust()]))

    assert codes({"RequestId": "x", "Role": {"AssumeRolePolicyDocument": policy}}) == []


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"Statement": []}', '{"Statement": 1}', "null", '"text"', "[" * 9999]
)
def test_other_text_is_no_policy(text: str) -> None:
    """Text that is no trust policy is a finding, never an error."""
    assert codes(text) == ["IDS-433"]


def statement(conditions: dict[str, Any], effect: str = "Allow") -> dict[str, Any]:
    """Return a statement about the provider."""
    return {
        "Effect": effect,
        "Action": "sts:AssumeRole",
        "Principal": {"Federated": [ARN]},
        "Condition": conditions,
    }


ALL = {"oidc:iss": ISSUER, "oidc:aud": "api.example.com", "oidc:sub": "app_1"}


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"StringEquals": ALL, "StringLike": {"oidc:sub": "app_*"}}, []),
        ({"StringEquals": ALL, "StringLike": {"oidc:sub": "other_*"}}, ["IDS-431"]),
        ({"StringLike": {"oidc:sub": "other_*"}, "StringEquals": ALL}, ["IDS-431"]),
        ({"StringEquals": ALL, "StringNotEquals": {"oidc:sub": "app_2"}}, []),
        ({"StringEquals": ALL, "StringNotEquals": {"oidc:sub": ["app_2", "app_1"]}}, ["IDS-431"]),
        ({"StringEquals": ALL, "StringNotLike": {"oidc:aud": "api.*"}}, ["IDS-429"]),
        ({"StringEquals": ALL, "StringNotEqualsIgnoreCase": {"oidc:sub": "APP_1"}}, ["IDS-431"]),
        ({"StringEquals": ALL, "DateLessThan": {"acs:CurrentTime": "2000-01-01T00:00:00Z"}}, []),
        ({"StringEquals": {"oidc:iss": ISSUER, "oidc:aud": "api.example.com"}}, ["IDS-434"]),
        ({"StringEquals": ALL | {"oidc:sub": "app_1"}, "StringEqualsIgnoreCase": {"oidc:sub": "APP_1"}}, []),
        ({"StringNotEquals": {"oidc:sub": "app_2"}}, ["IDS-434"]),
        ({"StringLike": ALL | {"oidc:sub": "*"}}, ["IDS-434"]),
        ({"StringLike": ALL | {"oidc:sub": ["app_1", "**"]}}, ["IDS-434"]),
        ({"StringEquals": ALL, "StringLike": {"oidc:sub": "*"}}, []),
        ({"StringLike": ALL | {"oidc:sub": "app_*"}}, []),
    ],
)
def test_all_conditions_hold_together(conditions: dict[str, Any], expected: list[str]) -> None:
    """A key may have several operators, and a negated one holds where no value matches. A claim needs another one."""
    assert codes({"Statement": [statement(conditions)]}) == expected


@pytest.mark.parametrize(
    ("operator", "pattern", "is_named"),
    [
        ("StringEquals", "app_*", True),
        ("StringEquals", "app_?", True),
        ("StringEqualsIgnoreCase", "app_*", True),
        ("StringEquals", "other_*", False),
        ("StringEquals", "*", False),
        ("StringLike", "other_*", False),
    ],
)
def test_wildcards_that_are_compared_as_text(operator: str, pattern: str, *, is_named: bool) -> None:
    """A wildcard outside StringLike is the mistake, and no client can have such a subject."""
    conditions = {"StringEquals": {"oidc:iss": ISSUER, "oidc:aud": "api.example.com"}}
    conditions.setdefault(operator, {})["oidc:sub"] = pattern
    (found, *_) = findings(json.dumps({"Statement": [statement(conditions)]}), ARN, CLAIMS, REQUEST)

    assert found.code == "IDS-431"
    assert (f"{operator} takes * and ? literally" in found.message) is is_named
    assert found.cure.startswith(f"request another token; only if {pattern!r} was meant to match 'app_1'") is is_named


def test_a_version_that_ram_refuses() -> None:
    """RAM has one version of its policy language; that of another cloud is named."""
    policy = document([trust()]) | {"Version": "2012-10-17"}
    (found,) = findings(json.dumps(policy), ARN, CLAIMS, REQUEST)

    assert (found.code, found.cure) == ("IDS-433", 'write "Version": "1"')
    assert "'2012-10-17'" in found.message


def test_conditions_that_are_not_about_the_token() -> None:
    """The conditions that the claims cannot decide are named, those of other providers aside."""
    others = {"IpAddress": {"acs:SourceIp": "192.0.2.1"}, "Bool": {"acs:SecureTransport": "true"}}
    policy = {"Statement": [statement({"StringEquals": ALL} | others), *document([trust()])["Statement"]]}

    assert unexamined(json.dumps(policy), ARN) == ("IpAddress on acs:SourceIp", "Bool on acs:SecureTransport")
    assert unexamined(json.dumps(policy), f"{ARN}2") == ()
    assert unexamined("no policy", ARN) == ()


@pytest.mark.parametrize(
    ("denied", "expected"),
    [
        ({}, ["IDS-438"]),
        ({"StringEquals": {"oidc:sub": "app_1"}}, ["IDS-438"]),
        ({"StringNotEquals": {"oidc:sub": "app_2"}}, ["IDS-438"]),
        ({"StringEquals": {"oidc:sub": "app_2"}}, []),
        ({"StringEquals": {"oidc:sub": "app_1"}, "StringLike": {"oidc:aud": "other.*"}}, []),
        ({"IpAddress": {"acs:SourceIp": "192.0.2.1"}}, []),
    ],
)
def test_a_denial_that_applies_is_found(denied: dict[str, Any], expected: list[str]) -> None:
    """A Deny for the provider counts if all its conditions are about claims and hold."""
    allowed = document([trust()])["Statement"]

    assert codes({"Statement": [*allowed, statement(denied, "Deny")]}) == expected
    assert codes({"Statement": [statement(denied, "Deny"), *allowed]}) == expected


def test_a_policy_that_only_denies_allows_nothing() -> None:
    """Without an Allow, there is no policy to compare with; the cure is a statement, and not another file."""
    (finding,) = findings(json.dumps({"Statement": [statement({}, "Deny")]}), ARN, CLAIMS, REQUEST)

    assert finding.code == "IDS-433"
    assert finding.cure.startswith("write a statement with the Action sts:AssumeRole")


def test_missing_claims_do_not_match() -> None:
    """A token without a claim meets no condition on it."""
    assert codes(document([trust()]), Claims(None, (), None, None, None)) == ["IDS-430", "IDS-429", "IDS-431"]


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        ("https://a/b/", "https://a/b", "'https://a/b>>/<<'"),
        ("https://a/b", "https://a/b/", "'https://a/b>><<'"),
        ("api.exmple.com", "api.example.com", "'api.ex>><<mple.com'"),
        ("app_1", "app_2", "'app_>>1<<'"),
        ("app_exmaple", "app_example", "'app_ex>>ma<<ple'"),
        ("api.exmple.con", "api.example.com", "'api.ex>>mple.con<<'"),
        ("one", "two", "'one'"),
        ("same", "same", "'same'"),
        ("", "x", "''"),
    ],
)
def test_differing_characters_are_marked(found: str, wanted: str, expected: str) -> None:
    """`>>` and `<<` surround what the other value does not have; values without likeness are shown as they are."""
    assert marked(found, wanted) == expected


def test_long_values_are_cut() -> None:
    """Values of another side are cut."""
    assert len(marked("a" * 9_000, "b")) < 310
    assert closest("abc", ("xyz", "abd")) == "abd"
    assert closest("abc", ()) == ""
