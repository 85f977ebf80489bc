"""Trust policies: evaluation, and the policies that RAM rejects."""

import pytest

from app.emulator.world import trust_policy

CONTEXT = {"oidc:iss": ("https://idp.example",), "oidc:aud": ("one", "two"), "oidc:sub": ("app_a",)}
MATCHING = {"oidc:iss": "https://idp.example", "oidc:aud": ["two"]}


def statement(condition=None, **changes):
    """Return a statement that allows arn-1 and arn-2, with changes."""
    default = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Federated": ["arn-1", "arn-2"]}}
    return {**default, "Condition": condition or {"StringEquals": MATCHING}, **changes}


def policy(*statements):
    """Return a policy of these statements."""
    return {"Version": "1", "Statement": list(statements)}


def with_sub(operator, *values):
    """Return a condition that also compares oidc:sub by `operator`."""
    return {"StringEquals": MATCHING, operator: {**MATCHING, "oidc:sub": list(values)}}


def allows(document):
    """Evaluate the policy for the principal arn-1 and the claims of CONTEXT."""
    return trust_policy.allows(document, principal_type="Federated", principals=("arn-1",), context=CONTEXT)


TABLE = [
    (True, statement()),
    (True, statement(Action=["sts:AssumeRole", "sts:TagSession"])),
    (False, statement(Principal={"Federated": "arn-3"})),
    (False, statement(Principal={"Service": "arn-1"}, Condition={})),
    (False, statement({"StringEquals": {**MATCHING, "oidc:iss": "https://idp.example/"}})),
    (False, statement({"StringEquals": {**MATCHING, "oidc:aud": "three"}})),
    (True, statement(with_sub("StringEquals", "app_b", "app_a"))),
    (False, statement(with_sub("StringEquals", "app_b"))),
    (False, statement(with_sub("StringEquals", "app_*"))),
    (True, statement({"StringLike": {**MATCHING, "oidc:sub": "app_*"}})),
    (True, statement({"StringLike": {**MATCHING, "oidc:sub": "a??_a"}})),
    (False, statement({"StringLike": {**MATCHING, "oidc:sub": "app_?a"}})),
    (False, statement({"StringLike": {**MATCHING, "oidc:sub": "app_[a]"}})),
    (False, statement({"StringLike": {**MATCHING, "oidc:sub": "APP_*"}})),
    (False, statement({"StringEquals": MATCHING, "StringLike": {"oidc:sub": "other*"}})),
]


@pytest.mark.parametrize(("allowed", "only"), TABLE)
def test_conditions(allowed, only):
    """Operators and keys combine with and, values with or; * and ? are the only wildcards, in StringLike alone."""
    assert trust_policy.validation_error(policy(only)) is None
    assert allows(policy(only)) is allowed


def test_one_statement_is_enough():
    """One allowing statement is enough, it need not be in a list, and a denying statement overrides it."""
    other, allow, deny = statement(Principal={"Federated": "arn-3"}), statement(), statement(Effect="Deny")

    assert allows(policy(other, allow))
    assert allows({"Version": "1", "Statement": allow})
    assert not allows(policy(allow, deny))


INVALID_POLICIES = [
    ("Version", {"Statement": [statement()]}),
    ("Statement", policy()),
    ("Effect", policy(statement(Effect="Maybe"))),
    ("sts:AssumeRole", policy(statement(Action="sts:AssumeRoleWithOIDC"))),
    ("Principal", policy(statement(Principal="arn-1"))),
    ("Condition", policy(statement(Condition=[]))),
    ("strings", policy(statement({"StringEquals": {"oidc:iss": [1]}}))),
    ("as RAM writes them", policy("nothing")),
    ("StringMatches", policy(statement({"StringMatches": MATCHING}))),
    ("oidc:email", policy(statement({"StringEquals": {**MATCHING, "oidc:email": "x"}}))),
    ("oidc:aud", policy(statement({"StringEquals": {"oidc:iss": "x"}}))),
]


@pytest.mark.parametrize(("name", "invalid"), INVALID_POLICIES)
def test_invalid_policies(name, invalid):
    """The error of a policy that RAM would reject names the wrong element."""
    assert name in trust_policy.validation_error(invalid)
