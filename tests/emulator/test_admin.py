"""The admin path: faults, world, journal, keys, tokens and certificates; no browsers."""

from pathlib import Path

import jwt
import pytest
from cryptography import x509

from app.emulator import World
from app.emulator.crypto.pki import common_name
from app.emulator.http.faults import NAMED_FAULTS
from app.emulator.world.world import CLIENT_SECRET, WORKLOAD_SUBJECT


async def test_admin_faults(cloud):
    """The admin path adds, lists and clears faults; an invalid fault is refused with the reason."""
    added = await cloud.http.post(
        "/_emulator/faults", json={"kind": "token", "times": None, "status": 503, "body": "{"}
    )
    wrong = await cloud.http.post("/_emulator/faults", json={"kind": "tokens"})
    failed = await cloud.request_token()
    listed = (await cloud.http.get("/_emulator/faults")).json()
    cleared = (await cloud.http.delete("/_emulator/faults")).json()

    assert (added.status_code, wrong.status_code) == (200, 400)
    assert wrong.json()["error"].startswith("kind: must be one of")
    assert (failed.status_code, failed.text) == (503, "{")
    assert [(fault["kind"], fault["body"]) for fault in listed] == [("token", "{")]
    assert cleared == []


async def test_admin_named_faults(cloud):
    """A fault can be added by name; members of the body replace its own, and an unknown name is refused."""
    added = await cloud.http.post("/_emulator/faults?name=sts-throttled", json={"times": 2, "status": 429})
    wrong = await cloud.http.post("/_emulator/faults?name=sts-throtled")
    refused = await cloud.assume_role_with_oidc()

    (fault,) = added.json()
    assert (fault["kind"], fault["times"], fault["headers"]) == ("sts", 2, {"x-acs-retry-after": "1500"})
    assert wrong.status_code == 400
    assert "known: slow, server-error, sts-throttled" in wrong.json()["error"]
    assert (refused.status_code, refused.json()["Code"]) == (429, "Throttling.User")


@pytest.mark.parametrize("name", NAMED_FAULTS)
async def test_each_named_fault_changes_a_response(cloud, name):
    """Each named fault can be added without members, and is in the list."""
    added = await cloud.http.post(f"/_emulator/faults?name={name}")

    assert (added.status_code, len(added.json())) == (200, 1)
    assert f"`{name}`" in (Path(__file__).parents[2] / "docs/emulator.md").read_text()


async def test_admin_world(cloud):
    """The admin path shows the world without secrets, and replaces it by a valid world only."""
    shown = await cloud.http.get("/_emulator/world")
    await cloud.http.put("/_emulator/world", content=World.default(token_seconds=77).to_json())
    wrong = await cloud.http.put("/_emulator/world", content="{}")

    assert shown.json()["clients"]["app_demo"]["secrets"] == [{"value": "***", "expiresAt": None}]
    assert (await cloud.request_token()).json()["expires_in"] == 77
    assert wrong.status_code == 400


async def test_admin_journal(cloud):
    """The admin path shows no secret, token or assertion of the journal; clearing it keeps the totals."""
    token = await cloud.token()
    await cloud.assume_role_with_oidc(OIDCToken=token)
    shown = await cloud.http.get("/_emulator/journal")
    cleared = (await cloud.http.delete("/_emulator/journal")).json()

    assert CLIENT_SECRET not in shown.text
    assert token not in shown.text
    assert shown.json()["calls"][0]["fields"]["client_id"] == "app_demo"
    assert cleared == {"totals": {"token": 1, "sts": 1}, "calls": []}


async def test_admin_tokens_and_certificates(cloud):
    """The admin path issues workload tokens with replaced claims, and client certificates with a chosen name."""
    token = (await cloud.http.post("/_emulator/token", json={"sub": "app"})).json()["token"]
    default = (await cloud.http.post("/_emulator/token")).json()["token"]
    wrong = await cloud.http.post("/_emulator/token", json=["sub"])
    certificate = (await cloud.http.post("/_emulator/certificate?name=app")).json()
    leaf = x509.load_pem_x509_certificate(certificate["leafPem"].encode())

    subjects = [jwt.decode(text, options={"verify_signature": False})["sub"] for text in (token, default)]
    assert subjects == ["app", WORKLOAD_SUBJECT]
    assert wrong.status_code == 400
    assert common_name(leaf) == "app"


@pytest.mark.parametrize(("query", "status"), [("", 200), ("?retire=true", 401)])
async def test_admin_rotate(cloud, query, status):
    """The admin path rotates the signing key, and retires the previous one if requested."""
    token = await cloud.token()
    await cloud.http.post(f"/_emulator/rotate{query}")

    assert (await cloud.assume_role_with_oidc(OIDCToken=token)).status_code == status


ADMIN_HEADERS = [
    ({}, 200),
    ({"Host": "localhost"}, 200),
    ({"Host": "[::1]:7080"}, 200),
    ({"Host": "evil.example:7080"}, 403),
    ({"Host": "127.0.0.1.evil.example"}, 403),
    ({"Host": "[::1"}, 403),
    ({"Origin": "http://127.0.0.1:7080"}, 403),
    ({"Origin": "null"}, 403),
]


@pytest.mark.parametrize(("headers", "status"), ADMIN_HEADERS)
async def test_admin_is_not_for_browsers(cloud, headers, status):
    """The admin path refuses a web page that posts to loopback, and one that rebinds its name (DNS rebinding)."""
    assert (await cloud.http.get("/_emulator/journal", headers=headers)).status_code == status


@pytest.mark.parametrize(("method", "path", "allowed"), [("POST", "world", "GET, PUT"), ("PUT", "rotate", "POST")])
async def test_another_method_is_not_allowed(cloud, method: str, path: str, allowed: str):
    """A known path with another method is 405 with the allowed methods, and an unknown path is 404."""
    response = await cloud.http.request(method, f"/_emulator/{path}")

    assert (response.status_code, response.headers["Allow"]) == (405, allowed)
    assert (await cloud.http.request(method, f"/_emulator/{path}s")).status_code == 404
