"""No type shows a secret when it is printed: tracebacks, debuggers and careless log lines print everything."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Iterator
from itertools import product
from typing import Any

import msgspec
import pytest

import app

SUSPICIOUS = re.compile(
    r"secret|token|password|^value$|body|^wire$|fields|headers|target|environ$|argv|^command$|proxy|^raw$|assertion|^keys$"
)
HARMLESS = {
    # Names and places of secrets, never the secrets: that is what a configuration holds.
    *{
        (f"{prefix}ClientSecret{kind}", name)
        for prefix, kind in product(("Idaas", "OAuth"), ("Post", "Basic", "Jwt"))
        for name in ("client_secret_env_var_name", "client_secret_file")
    },
    *{
        (name, "private_key_password_env_var_name")
        for name in ("IdaasPrivateKeyJwt", "OAuthPrivateKeyJwt", "IdaasPca", "PrivateKeyMethod", "Connection")
    },
    *{("ClientSecretMethod", "client_secret_env_var_name"), ("ClientSecretMethod", "client_secret_file")},
    *{("IdaasOidc", "oidc_token_file_path"), ("IdaasOidc", "oidc_token_file_path_env_var_name")},
    *{("TokenFileIdentity", "token_file"), ("Access", "path_token")},
    # What is requested, or how.
    *{("OAuthClientSecretJwt", "assertion_audience"), ("OAuthPrivateKeyJwt", "assertion_audience")},
    *{("Access", "metadata_tokens"), ("CommandIdentity", "token_use"), ("OidcClientIdentity", "token_use")},
    *{
        ("IdaasIdentity", "token_endpoint"),
        ("OidcClientIdentity", "token_endpoint"),
        ("IdaasIdentity", "token_exchange"),
    },
    *{
        ("TokenExchange", "subject_token_type"),
        ("TokenExchange", "requested_token_type"),
        ("Federated", "assertion_type"),
    },
    ("ClientFacts", "exchanges_tokens"),
    # Callables that read or make a secret when it is used, or an object that is asked by one.
    *{("ClientSecretPost", "secret"), ("ClientSecretBasic", "secret"), ("ClientSecretJwt", "secret")},
    *{("PrivateKeyJwt", "password"), ("ClientCertificate", "password"), ("Federated", "assertion")},
    *{("GenerateOauthToken", "keys"), ("TokenEndpoint", "secret")},
    ("ClientParts", "token_endpoint_source"),
    # File names.
    ("WatchedFiles", "path_token"),
    # Numbers and codes.
    *{("Response", "body_length"), ("Refused", "renew_token"), ("Unreachable", "retry_after")},
    # How a modelled client or a probed server behaves, never a value.
    *{("EcsClient", "token"), ("Context", "tokens_required")},
    # Our own answers, made of what is public; and headers that are Content-Type and the like.
    ("Response", "headers"),
    # The documentation of a log line.
    ("LogEvent", "fields"),
}


def types() -> Iterator[type]:
    """All types of the serving half that print their members."""
    for found in pkgutil.walk_packages(app.__path__, "app."):
        if found.name == "app.__main__" or found.name.startswith("app.emulator"):
            continue
        module = importlib.import_module(found.name)
        for kind in vars(module).values():
            if isinstance(kind, type) and kind.__module__ == found.name and members(kind):
                yield kind


def members(kind: type) -> tuple[str, ...]:
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    if issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    return getattr(kind, "_fields", ())


def filled(kind: type) -> Any:
    """One whose members are told apart by their names."""
    canaries = {name: f"canary-{name}-" for name in members(kind)}
    if issubclass(kind, tuple):
        return kind(**canaries)
    instance: Any = (
        msgspec.structs.replace(kind(**canaries)) if issubclass(kind, msgspec.Struct) else kind.__new__(kind)
    )
    if not issubclass(kind, msgspec.Struct):
        for name, value in canaries.items():
            object.__setattr__(instance, name, value)
    return instance


TYPES = list(types())


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_shows_no_secret(kind: type) -> None:
    """What may be a secret by its name is not printed, unless this file says why it is none."""
    shown = {name for name in members(kind) if f"canary-{name}-" in repr(filled(kind))}

    assert {(kind.__name__, name) for name in shown if SUSPICIOUS.search(name)} - HARMLESS == set()


def test_it_looks_at_everything() -> None:
    """The types that do hold secrets are among those looked at, and what is said to be harmless exists."""
    names = {kind.__name__ for kind in TYPES}
    known = {(kind.__name__, name) for kind in TYPES for name in members(kind)}

    assert {
        "Token",
        "Credentials",
        "KeyPair",
        "Proof",
        "Request",
        "Response",
        "UpstreamResponse",
        "HeldSession",
        "Command",
        "Loaded",
    } <= names
    assert {pair for pair in HARMLESS if pair not in known and pair[0] not in ("Refused", "Unreachable")} == set()
