"""
The issuer of a Kubernetes cluster: the two documents to publish, and checks that STS can read them.

STS reads `<issuer>/.well-known/openid-configuration` and the JWK set that this document names, over the Internet. The
API server serves both documents, but usually with an internal `jwks_uri` and not to anonymous callers. So the documents
are published elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..core.errors import ConfigError, Mistake

DISCOVERY_PATH = "/.well-known/openid-configuration"
JWKS_PATH = "/openid/v1/jwks"
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "k", "oth"})
"""Members of a private or symmetric JWK (RFC 7518 section 6)."""

MOST_KEYS = 20
"""The most keys of a set whose mistakes are named. An API server publishes a few."""

LONGEST_SHOWN = 200
"""The most characters of a foreign value that a message repeats."""

Fetch = Callable[[str], dict[str, Any]]
"""Returns the JSON object at a URL. Raises Unreachable or Refused."""

_UNUSABLE = "IDS-126"
"""The stable code of a document that cannot be used."""


def documents(issuer: str, jwks: Mapping[str, Any], place: str) -> dict[str, dict[str, Any]]:
    """
    Return the documents to publish, by path below the issuer.

    Raises ConfigError for a set without a usable key, and for a set with private members, which must never be
    published.
    """
    keys = jwks.get("keys")
    if not isinstance(keys, list) or not keys:
        raise ConfigError(
            f"{place}: no keys in it", cure=f"write the output of kubectl get --raw {JWKS_PATH}", error_code=_UNUSABLE
        )
    mistakes = list(_mistakes_of(keys, place))
    if mistakes:
        raise ConfigError.of(mistakes)
    discovery = {
        "issuer": issuer,
        "jwks_uri": f"{issuer.rstrip('/')}{JWKS_PATH}",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }
    return {DISCOVERY_PATH: discovery, JWKS_PATH: dict(jwks)}


def _mistakes_of(keys: list[Any], place: str) -> Iterator[Mistake]:
    """Yield the mistakes of the keys of a set, and the number of wrong keys after the first MOST_KEYS."""
    found = (list(key_mistakes(key, f"{place}: keys[{index}]")) for index, key in enumerate(keys))
    wrong = [mistakes for mistakes in found if mistakes]
    for mistakes in wrong[:MOST_KEYS]:
        yield from mistakes
    if len(wrong) > MOST_KEYS:
        yield Mistake(f"{place}: {len(wrong) - MOST_KEYS} more of its {len(keys)} keys are unusable", _UNUSABLE)


def key_mistakes(key: Any, place: str) -> Iterator[Mistake]:
    """Yield why STS cannot use a key of the set, or why it must not be published."""
    if not isinstance(key, dict):
        yield Mistake(f"{place}: must be an object", _UNUSABLE)
        return
    if private := sorted(PRIVATE_MEMBERS & key.keys()):
        cause = f"{place}: has the private member {', '.join(private)}"
        yield Mistake(cause, _UNUSABLE, "never publish it, and replace this key")
    if key.get("kty") != "RSA" or key.get("alg", "RS256") != "RS256":
        yield Mistake(f"{place}: must be an RSA key for RS256, the only algorithm that STS documents", _UNUSABLE)
    if not key.get("kid"):
        yield Mistake(f"{place}: has no kid; STS finds the key of a token by it", _UNUSABLE)


def findings(issuer: str, fetch: Fetch, own: Mapping[str, Any] | None) -> Iterator[Mistake]:
    """
    Yield the mistakes in the published documents of `issuer`.

    `own` is the JWK set of the cluster, if known: each of its keys must be published. Raises the errors of `fetch`.
    """
    where = f"{issuer.rstrip('/')}{DISCOVERY_PATH}"
    discovery = fetch(where)
    if discovery.get("issuer") != issuer:
        cause = f"{where}: issuer is {_shown(discovery.get('issuer'))}, must be {issuer!r} to the letter"
        yield Mistake(cause, _UNUSABLE)
    uri = discovery.get("jwks_uri")
    if not isinstance(uri, str) or not uri.startswith("https://"):
        yield Mistake(f"{where}: jwks_uri is {_shown(uri)}, must be an https URL that STS can reach", _UNUSABLE)
        return
    keys = fetch(uri).get("keys")
    shown_uri = uri[:LONGEST_SHOWN]
    if not isinstance(keys, list) or not keys:
        yield Mistake(f"{shown_uri}: has no keys", _UNUSABLE)
        return
    yield from _mistakes_of(keys, shown_uri)
    published = {json.dumps(_public(key), sort_keys=True) for key in keys if isinstance(key, dict)}
    own_keys = (own or {}).get("keys")
    of_cluster = [key for key in own_keys if isinstance(key, dict)] if isinstance(own_keys, list) else []
    missing = [key for key in of_cluster if json.dumps(_public(key), sort_keys=True) not in published]
    for key in missing[:MOST_KEYS]:
        cause = f"{shown_uri}: the cluster's key {_shown(key.get('kid'))} is missing"
        yield Mistake(cause, _UNUSABLE, "publish the current JWK set")
    if len(missing) > MOST_KEYS:
        yield Mistake(f"{shown_uri}: {len(missing) - MOST_KEYS} more keys of the cluster are missing", _UNUSABLE)


def _shown(value: object) -> str:
    """Return a value of a foreign document, which may be of any type and length, for one line."""
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _public(key: Mapping[str, Any]) -> dict[str, Any]:
    return {name: key.get(name) for name in ("kty", "kid", "n", "e")}
