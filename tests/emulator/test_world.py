"""Worlds: the default world, and the errors of an invalid world file."""

import json

import pytest

from app.emulator import Secret, World, WorldError
from app.emulator.world.world import CLIENT_ID, CLIENT_SECRET, PROVIDER_ARN, role_arn


def test_default_world():
    """The default world has a role for each profile, and the provider and client to assume it."""
    world = World.default(
        profiles=("default", "p2"), issuer="https://127.0.0.1:1/a", token_seconds=60, session_seconds=9
    )

    assert list(world.roles)[:2] == [role_arn("default"), role_arn("p2")]
    assert world.oidc_providers[PROVIDER_ARN].issuer_url == world.issuer == "https://127.0.0.1:1/a"
    assert world.oidc_providers[PROVIDER_ARN].client_ids == (world.audience,)
    assert world.clients[CLIENT_ID].secrets == (Secret(CLIENT_SECRET),)
    assert (world.token_seconds, world.session_seconds) == (60, 9)


def test_round_trip(tmp_path):
    """A world written to JSON and read again is equal to the original."""
    world = World.default(profiles=("a", "b"), session_seconds=5)
    (tmp_path / "world.json").write_text(world.to_json())

    assert World.load(tmp_path / "world.json") == world


def test_secrets_are_quiet():
    """Neither repr nor the redacted world contains a secret."""
    world = World.default()

    assert CLIENT_SECRET not in repr(world)
    assert CLIENT_SECRET not in world.redacted().to_json()


def edited(edit):
    """Return the JSON of the default world after `edit` changed the document."""
    document = json.loads(World.default().to_json())
    edit(document)
    return json.dumps(document)


CLIENT = f"clients.{CLIENT_ID}"
ROLE = f"roles.{role_arn('default')}"
INVALID_WORLDS = [
    (lambda w: w.update(isuer="x"), "isuer: unknown key, did you mean issuer?"),
    (lambda w: w.update(zzz=1), "zzz: unknown key, remove it; known keys:"),
    (lambda w: w.pop("clients"), "clients: is required: add it"),
    (lambda w: w.update(tokenSeconds="1"), "tokenSeconds: must be a whole number"),
    (lambda w: w.update(tokenSeconds=True), "tokenSeconds: must be a whole number"),
    (lambda w: w.update(clients=[]), "clients: must be an object"),
    (lambda w: w.update(issuer="https://127.0.0.1:1/"), "issuer: 'https://127.0.0.1:1/' must be"),
    (lambda w: w["clients"][CLIENT_ID].update(secrets="x"), f"{CLIENT}.secrets: must be an array"),
    (
        lambda w: w["clients"][CLIENT_ID].update(methods=["x"]),
        f"{CLIENT}.methods.0: must be one of 'CLIENT_SECRET_BASIC'",
    ),
    (
        lambda w: w["clients"][CLIENT_ID].update(publicKeys=[{"pem": "x"}]),
        f"{CLIENT}.publicKeys.0.pem: not an RSA, EC or Ed25519",
    ),
    (lambda w: w["oidcProviders"][PROVIDER_ARN].update(jwks={"keys": []}), "jwks: no usable key"),
    (lambda w: w["roles"][role_arn("default")].update(trustPolicy={}), f"{ROLE}.trustPolicy: needs"),
]


@pytest.mark.parametrize(("edit", "message"), INVALID_WORLDS)
def test_invalid_worlds(tmp_path, edit, message):
    """An invalid file raises one line with the file name, the key path and the correction."""
    path = tmp_path / "world.json"
    path.write_text(edited(edit))

    with pytest.raises(WorldError) as caught:
        World.load(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"), [(None, "No such file"), ("{\n]", "line 2: not JSON"), ("[]", "an object")]
)
def test_unreadable(tmp_path, text, message):
    """A missing file and a file that is not a JSON object raise WorldError."""
    path = tmp_path / "world.json"
    if text is not None:
        path.write_text(text)

    with pytest.raises(WorldError, match=message):
        World.load(path)
