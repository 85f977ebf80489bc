"""The issuer of a Kubernetes cluster: the documents to publish and the check from outside."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.errors import ConfigError
from app.setup.cluster import DISCOVERY_PATH, JWKS_PATH, MOST_KEYS, documents, findings

ISSUER = "https://oidc.example.com/prod"
KEY = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k1", "n": "AQAB", "e": "AQAB"}
JWKS = {"keys": [KEY]}


def published(**changes: Any) -> dict[str, dict[str, Any]]:
    """Return the published documents by URL."""
    found = {f"{ISSUER}{path}": document for path, document in documents(ISSUER, JWKS, "jwks.json").items()}
    return found | changes


def test_the_documents_fit_the_issuer():
    """The discovery document has the issuer to the letter, and a jwks_uri below it instead of the internal one."""
    found = documents(ISSUER, JWKS, "jwks.json")

    assert found[DISCOVERY_PATH]["issuer"] == ISSUER
    assert found[DISCOVERY_PATH]["jwks_uri"] == f"{ISSUER}{JWKS_PATH}"
    assert found[JWKS_PATH] == JWKS


@pytest.mark.parametrize(
    ("jwks", "message"),
    [
        ({}, "no keys in it; write the output of kubectl get --raw"),
        ({"keys": [KEY | {"d": "x"}]}, r"keys\[0\]: has the private member d; never publish it"),
        ({"keys": [{"kty": "oct", "kid": "a", "k": "x"}]}, "has the private member k"),
        ({"keys": [KEY | {"alg": "ES256", "kty": "EC"}]}, "must be an RSA key for RS256"),
        ({"keys": [{**KEY, "kid": ""}]}, "has no kid"),
        ({"keys": ["k"]}, "must be an object"),
    ],
)
def test_keys_that_must_not_be_published(jwks, message):
    """Private keys, keys of other algorithms and keys without an id are refused."""
    with pytest.raises(ConfigError, match=message):
        documents(ISSUER, jwks, "jwks.json")


def test_many_unusable_keys_are_counted():
    """Of a set with thousands of unusable keys, the first ones are named and the others counted."""
    wrong = [{"kty": "EC", "kid": "k" * 1000}] * 5000
    with pytest.raises(ConfigError) as caught:
        documents(ISSUER, {"keys": [KEY, *wrong]}, "jwks.json")

    assert len(caught.value.mistakes) == MOST_KEYS + 1
    assert caught.value.mistakes[-1] == f"jwks.json: {5000 - MOST_KEYS} more of its 5001 keys are unusable"


def test_findings_are_bounded():
    """However long the foreign documents and the cluster's own set are, the findings are few and short."""
    own = {"keys": [KEY | {"kid": f"{'k' * 1000}{number}"} for number in range(500)] + ["none"]}
    long = "https://oidc.example.com/" + "x" * 100_000
    found = published()
    found[ISSUER + DISCOVERY_PATH] |= {"issuer": ["x"] * 100_000, "jwks_uri": long}
    found[long] = {"keys": [{}] * 5000}
    lines = list(findings(ISSUER, found.__getitem__, own))

    assert len(lines) < 5 * MOST_KEYS
    assert max(map(len, lines)) < 1000
    assert any(line.endswith(f"{500 - MOST_KEYS} more keys of the cluster are missing") for line in lines)


def test_published_documents_without_findings():
    """The documents as they were written have no findings."""
    assert list(findings(ISSUER, published().__getitem__, JWKS)) == []


@pytest.mark.parametrize(
    ("discovery", "keys", "message"),
    [
        ({"issuer": ISSUER + "/"}, None, "must be 'https://oidc.example.com/prod' to the letter"),
        ({"jwks_uri": "https://10.0.0.1/jwks"}, None, None),
        ({"jwks_uri": "http://oidc.example.com/jwks"}, None, "must be an https URL that STS can reach"),
        ({}, {"keys": []}, "has no keys"),
        ({}, {"keys": [KEY | {"kid": "old"}]}, "the cluster's key 'k1' is missing; publish the current JWK set"),
        ({}, {"keys": [KEY, {"kty": "EC"}]}, "must be an RSA key"),
    ],
)
def test_published_documents_with_findings(discovery, keys, message):
    """Each difference between the cluster and what is published is a finding."""
    found = published()
    found[ISSUER + DISCOVERY_PATH] |= discovery
    uri = found[ISSUER + DISCOVERY_PATH]["jwks_uri"]
    found[uri] = keys or found[ISSUER + JWKS_PATH]
    lines = list(findings(ISSUER, found.__getitem__, JWKS))

    assert [message] == [None] if message is None and not lines else any(str(message) in line for line in lines)
