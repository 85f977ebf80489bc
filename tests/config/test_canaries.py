"""A secret in the place of each text of the configuration: `config --show`, messages, warnings and reprs hide it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import inspect

from app.cli.commands.config import _as_json, _as_text
from app.config.examined import Examined
from app.config.explain import differences, rows
from app.config.kinds import members, stand_in
from app.config.loader import examine
from app.config.settings import Settings

from ..conftest import ENVIRON, configuration

CANARY = "Tr0ub4dorC4nary9"

IDENTIFIERS = {
    *("idaasInstanceId", "clientId", "keyId", "applicationFederatedCredentialName", "roleSessionName"),
    *("scope", "audience", "resource", "subjectTokenType", "requestedTokenType", "externalId", "sourceIdentity"),
    *("policy", "values"),
}
"""Keys for identifiers and public texts. A random identifier cannot be told from a secret."""

DISGUISES = {
    "alone": CANARY,
    "login": f"https://u:{CANARY}@h.example/x",
    "query": f"https://h.example/x?client_secret={CANARY}",
    "fragment": f"https://h.example/x#{CANARY}",
    "private key": f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----",
    "option": f"--password={CANARY}",
    "JSON": json.dumps({"client_secret": CANARY}),
    "token": f"eyJhbGciOiJub25lIn0.eyJ{CANARY}.x",
}

Put = Callable[[Any], Any]
"""Returns a configuration, or a part of one, with a text in one place."""


def places(info: inspect.Type, put: Put, path: str = "", inside: tuple[type, ...] = ()) -> Iterator[tuple[str, Put]]:
    """Yield each place of the type for a text, also in lists, maps and members of unions. `path` names its keys."""
    for kind in members(info):
        match kind:
            case inspect.StrType() | inspect.LiteralType():
                yield path, put
            case inspect.AnyType():
                yield path, lambda text: put({"Statement": [{"Resource": text}]})
            case inspect.ListType() | inspect.VarTupleType():
                yield from places(kind.item_type, lambda item: put([item]), path, inside)
            case inspect.DictType():
                name = "default" if path == ".profiles" else "region-id"
                yield from places(kind.value_type, lambda item, name=name: put({name: item}), path, inside)
            case inspect.StructType() if kind.cls not in inside:
                for field in kind.fields:
                    yield from places(
                        field.type,
                        _in_object(put, kind, field.encode_name),
                        f"{path}.{field.encode_name}",
                        (*inside, kind.cls),
                    )


def _in_object(put: Put, kind: inspect.StructType, key: str) -> Put:
    return lambda value: put({**stand_in(kind), key: value})


PLACES = list(places(inspect.type_info(Settings), lambda found: configuration() | found))


def texts(before: Settings | None, examined: Examined) -> str:
    """Return everything that is shown of a configuration, and of its changes since `before`."""
    found, after = list(rows(examined)), examined.settings
    changed = list(differences(before, after)) if before is not None and after is not None else []
    shown = (_as_json(found) + _as_text(found)) if found else ""
    message = str(examined.error()) if examined.found else ""
    return " ".join((shown, message, repr(examined.settings), repr(changed), *map(str, examined.warnings)))


@pytest.mark.parametrize("disguise", DISGUISES)
def test_canary_is_not_shown(disguise: str, tmp_path: Path) -> None:
    """No place of the configuration shows a secret that was written there by mistake."""
    text, file = DISGUISES[disguise], tmp_path / "config.json"
    file.write_text(json.dumps(configuration()))
    before = examine(str(file), ENVIRON, hostname="h").settings
    assert before is not None
    shown = []
    for path, put in PLACES:
        file.write_text(json.dumps(put(text)))
        examined = examine(str(file), ENVIRON, hostname="h")
        identifier = IDENTIFIERS.intersection(path.split("."))
        if CANARY in texts(before, examined) and not (disguise == "alone" and identifier):
            shown.append(path)

    assert shown == []


def test_every_kind_of_place_is_tried() -> None:
    """The places include keys of unions, lists, maps and nested objects."""
    found = {path for path, _ in PLACES}

    assert len(PLACES) > 150
    assert {
        *(".server.bind", ".metadata.values", ".access.pathToken.file", ".profiles.exchange.endpoints"),
        *(".profiles.identity.command", ".profiles.identity.environment", ".profiles.chain.policy"),
        *(".profiles.identity.tokenExchange.subject.clientAuthentication.keyId", ".profiles.files.path"),
    } <= found


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize(
    "variable",
    [
        *("ALIBABA_CLOUD_ROLE_ARN", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "ALIBABA_CLOUD_STS_REGION"),
        *("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "CLOUD_IDAAS_CONFIG_PATH"),
    ],
)
def test_canary_in_the_environment_is_not_shown(variable: str, disguise: str, tmp_path: Path) -> None:
    """A configuration of variables hides a secret in each of them, too."""
    environ = {
        "HOME": str(tmp_path),
        "ALIBABA_CLOUD_ROLE_ARN": "acs:ram::1234567890123456:role/x",
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": "acs:ram::1234567890123456:oidc-provider/x",
    }
    token_file = {"ALIBABA_CLOUD_OIDC_TOKEN_FILE": "/token"} if variable != "CLOUD_IDAAS_CONFIG_PATH" else {}
    examined = examine(None, {**environ, **token_file, variable: DISGUISES[disguise]}, hostname="h")

    assert CANARY not in texts(None, examined)
