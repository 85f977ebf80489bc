"""No type shows a secret in its repr, which tracebacks, debuggers and log lines print.

The repr of a type with declared members is made and read. A plain class has the repr of `object`, which shows no
member, or its own, whose source is read.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest

import app

SUSPICIOUS = re.compile(
    r"secret|token|password|^value$|body|^wire$|fields|headers|target|environ$|argv|^command$|proxy|^raw$|assertion|^keys$"
)
HARMLESS = {
    # The configuration has names and paths of secrets, and never a secret.
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
    *{
        (name, key)
        for name in ("TokenFileIdentity", "OAuthClientAssertion")
        for key in ("token_file", "token_env_var_name")
    },
    # What a request asks for, or how.
    *{("OAuthClientSecretJwt", "assertion_audience"), ("OAuthPrivateKeyJwt", "assertion_audience")},
    *{(name, "assertion_lifetime_seconds") for name in ("OAuthClientSecretJwt", "OAuthPrivateKeyJwt")},
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
    # Callables that read or create a secret when it is used, or an object that has such a callable.
    *{
        ("ClientSecretPost", "secret"),
        ("ClientSecretBasic", "secret"),
        ("ClientSecretJwt", "secret"),
        ("ForeignAssertion", "token"),
        ("ForeignToken", "secret"),
    },
    *{("PrivateKeyJwt", "password"), ("ClientCertificate", "password"), ("Federated", "assertion")},
    *{("GenerateOauthToken", "keys"), ("TokenEndpoint", "secret")},
    ("ClientParts", "token_endpoint_source"),
    # File names.
    ("WatchedFiles", "path_token"),
    # Numbers and codes.
    *{("Response", "body_length"), ("Refused", "renew_token"), ("Unreachable", "retry_after")},
    # The behaviour of a modelled client or of a checked server, not a value.
    *{("EcsClient", "token"), ("Context", "tokens_required")},
    # Headers of our own responses, such as Content-Type, which are public.
    ("Response", "headers"),
    # The documentation of a log line.
    ("LogEvent", "fields"),
}


def types() -> Iterator[type]:
    """Yield all types of the sidecar whose repr shows their members."""
    for info in pkgutil.walk_packages(app.__path__, "app."):
        if info.name == "app.__main__" or info.name.startswith("app.emulator"):
            continue
        module = importlib.import_module(info.name)
        for kind in vars(module).values():
            if isinstance(kind, type) and kind.__module__ == info.name and members(kind):
                yield kind


def members(kind: type) -> tuple[str, ...]:
    """Return the names of the members that a repr may show."""
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    if issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    return getattr(kind, "_fields", ())


def filled(kind: type) -> Any:
    """Return an instance whose members each have a recognisable value."""
    canaries = {name: f"canary-{name}-" for name in members(kind)}
    if issubclass(kind, tuple):
        return kind(**canaries)
    if issubclass(kind, msgspec.Struct):

        class Unchecked(kind, frozen=True):  # type: ignore[misc, valid-type]  # the type under test
            def __post_init__(self) -> None: ...

        return Unchecked(**canaries)
    instance: Any = kind.__new__(kind)
    for name, value in canaries.items():
        object.__setattr__(instance, name, value)
    return instance


TYPES = list(types())


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_repr_shows_no_secret(kind: type) -> None:
    """A member whose name may be that of a secret is not shown, unless it is listed in `HARMLESS`."""
    shown = {name for name in members(kind) if f"canary-{name}-" in repr(filled(kind))}

    assert {(kind.__name__, name) for name in shown if SUSPICIOUS.search(name)} - HARMLESS == set()


def test_all_types_with_secrets_are_checked() -> None:
    """The types that hold secrets are among the checked types, and each entry of `HARMLESS` exists."""
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


NAMES_ALONE = {"__struct_fields__"}
"""Members that match `SUSPICIOUS` but hold only the names of others. Their texts are checked above."""

PRINTED = {"__repr__", "__str__", "__format__"}


def secrets_in_text(source: str) -> list[str]:
    """Return line and name of each member whose name may be that of a secret, in a method that makes a text."""
    return [
        f"{node.lineno}: {node.attr}"
        for method in ast.walk(ast.parse(source))
        if isinstance(method, ast.FunctionDef) and method.name in PRINTED
        for node in ast.walk(method)
        if isinstance(node, ast.Attribute)
        if (SUSPICIOUS.search(node.attr.strip("_")) and node.attr not in NAMES_ALONE) or node.attr == "__dict__"
    ]


def test_own_methods_name_no_secret() -> None:
    """No `__repr__`, `__str__` or `__format__` of the sidecar reads a member whose name may be that of a secret."""
    files = [path for path in sorted(Path(app.__path__[0]).rglob("*.py")) if "emulator" not in path.parts]

    assert [f"{path}:{found}" for path in files for found in secrets_in_text(path.read_text())] == []


@pytest.mark.parametrize(
    "text",
    [
        'return f"Planted({self.token})"',
        "return repr(self._token)",
        'return "Planted(%s)" % self.client_secret',
        "return str(self.__dict__)",
    ],
)
@pytest.mark.parametrize("method", sorted(PRINTED))
def test_a_plain_class_that_shows_a_secret_is_found(method: str, text: str) -> None:
    """A secret in a text that a plain class makes of itself is reported."""
    assert secrets_in_text(f"class Planted:\n    def {method}(self):\n        {text}\n")


def test_a_plain_class_without_a_secret_is_sound() -> None:
    """A text of public members is not reported."""
    assert secrets_in_text('class Sound:\n    def __repr__(self):\n        return f"Sound({self.name})"\n') == []
