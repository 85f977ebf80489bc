"""Trust policies: who is let in, and which policies cannot be."""

import pytest

from app.emulator.world import trust_policy

FACTS = {"oidc:iss": ("https://idp.example",), "oidc:aud": ("one", "two"), "oidc:sub": ("app_a",)}
RIGHT = {"oidc:iss": "https://idp.example", "oidc:aud": ["two"]}


def statement(condition=None, **changes):
    whole = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Federated": ["arn-1", "arn-2"]}}
    return {**whole, "Condition": condition or {"StringEquals": RIGHT}, **changes}


def policy(*statements):
    return {"Version": "1", "Statement": list(statements)}


def with_sub(operator, *values):
    return {"StringEquals": RIGHT, operator: {**RIGHT, "oidc:sub": list(values)}}


TABLE = [
    (True, statement()),
    (True, statement(Action=["sts:AssumeRole", "sts:TagSession"])),
    (False, statement(Principal={"Federated": "arn-3"})),
    (False, statement(Principal={"Service": "arn-1"}, Condition={})),
    (False, statement({"StringEquals": {**RIGHT, "oidc:iss": "https://idp.example/"}})),
    (False, statement({"StringEquals": {**RIGHT, "oidc:aud": "three"}})),
    (True, statement(with_sub("StringEquals", "app_b", "app_a"))),
    (False, statement(with_sub("StringEquals", "app_b"))),
    (False, statement(with_sub("StringEquals", "app_*"))),
    (True, statement({"StringLike": {**RIGHT, "oidc:sub": "app_*"}})),
    (True, statement({"StringLike": {**RIGHT, "oidc:sub": "a??_a"}})),
    (False, statement({"StringLike": {**RIGHT, "oidc:sub": "app_?a"}})),
    (False, statement({"StringLike": {**RIGHT, "oidc:sub": "app_[a]"}})),
    (False, statement({"StringLike": {**RIGHT, "oidc:sub": "APP_*"}})),
    (False, statement({"StringEquals": RIGHT, "StringLike": {"oidc:sub": "other*"}})),
]


@pytest.mark.parametrize(("allowed", "only"), TABLE)
def test_verdicts(allowed, only):
    """Operators and keys are joined by and, values by or; only * and ? are wild, and only in StringLike."""
    assert trust_policy.complaint(policy(only)) is None
    assert trust_policy.allows(policy(only), kind="Federated", principals=("arn-1",), facts=FACTS) is allowed


def test_one_statement_is_enough():
    """Any allowing statement lets in, a single one need not be a list, and a denying one outweighs it."""
    no, yes, deny = statement(Principal={"Federated": "arn-3"}), statement(), statement(Effect="Deny")

    assert trust_policy.allows(policy(no, yes), kind="Federated", principals=("arn-1",), facts=FACTS)
    assert trust_policy.allows({"Version": "1", "Statement": yes}, kind="Federated", principals=("arn-1",), facts=FACTS)
    assert not trust_policy.allows(policy(yes, deny), kind="Federated", principals=("arn-1",), facts=FACTS)


COMPLAINTS = [
    ("Version", {"Statement": [statement()]}),
    ("Statement", policy()),
    ("Effect", policy(statement(Effect="Maybe"))),
    ("sts:AssumeRole", policy(statement(Action="sts:AssumeRoleWithOIDC"))),
    ("Principal", policy(statement(Principal="arn-1"))),
    ("Condition", policy(statement(Condition=[]))),
    ("strings", policy(statement({"StringEquals": {"oidc:iss": [1]}}))),
    ("as RAM writes them", policy("nothing")),
    ("StringMatches", policy(statement({"StringMatches": RIGHT}))),
    ("oidc:email", policy(statement({"StringEquals": {**RIGHT, "oidc:email": "x"}}))),
    ("oidc:aud", policy(statement({"StringEquals": {"oidc:iss": "x"}}))),
]


@pytest.mark.parametrize(("named", "wrong"), COMPLAINTS)
def test_complaints(named, wrong):
    """A policy that RAM would refuse is refused with the culprit's name."""
    assert named in trust_policy.complaint(wrong)
