"""Faults, the journal and the admin path."""

import json

import httpx
import jwt
import pytest

from app.emulator import FAULT_HEADER, MARK_HEADER, DroppedError, Emulator, Fault, World
from app.emulator.http.journal import LIMIT, Call, Journal
from app.emulator.world.world import CLIENT_SECRET

THROTTLED = {"x-acs-retry-after": "1500"}
BODIES = [
    (Fault("token", status=503), "token", 503, {"error": "server_error"}),
    (Fault("sts", status=503), "sts", 503, {"Code": "ServiceUnavailable"}),
    (Fault("token", status=429), "token", 429, {"error": "slow_down"}),
    (Fault("token", code="invalid_client"), "token", 401, {"error": "invalid_client"}),
    (Fault("token", code="access_denied", status=403), "token", 403, {"error": "access_denied"}),
    (Fault("sts", code="Throttling.User", headers=THROTTLED), "sts", 400, {"Code": "Throttling.User"}),
    (Fault("sts", code="EntityNotExist.Role"), "sts", 404, {"Code": "EntityNotExist.Role"}),
    (Fault("sts", code="AuthenticationFail.NoPermission"), "sts", 401, {"Code": "AuthenticationFail.NoPermission"}),
    (Fault("sts", body=b"{}"), "sts", 200, {}),
]


async def send(cloud, kind, **more):
    return await (cloud.ask(**more) if kind == "token" else cloud.assume(**more))


@pytest.mark.parametrize(("fault", "kind", "status", "body"), BODIES)
async def test_refusing_faults(cloud, fault, kind, status, body):
    """A fault's error has the shape of its endpoint, a plausible status, its headers, and happens once."""
    cloud.emulator.faults.add(fault)
    answer, next_one = await send(cloud, kind), await send(cloud, kind)

    assert answer.status_code == status
    assert body.items() <= answer.json().items()
    assert fault.headers.items() <= dict(answer.headers).items()
    assert next_one.status_code == 200


async def test_raw_bodies(cloud):
    """Truncated JSON, HTML and megabytes come as they are."""
    html = Fault(body=b"<html></html>", content_type="text/html")
    cloud.emulator.faults.add(Fault(body=b'{"access'), html, Fault(body=b"x" * 5_000_000))
    answers = [await cloud.ask() for _ in range(3)]

    assert [len(answer.content) for answer in answers] == [8, 13, 5_000_000]
    assert answers[1].headers["content-type"].startswith("text/html")


async def test_redirect(cloud):
    """A redirect has its Location and no body."""
    cloud.emulator.faults.add(Fault(status=307, headers={"Location": "https://elsewhere.example/"}))
    answer = await cloud.ask()

    assert (answer.status_code, answer.headers["location"], answer.content) == (307, "https://elsewhere.example/", b"")


async def test_delay(cloud):
    """A delayed request is judged by the clock at its end, and noted with the one at its arrival."""
    arrived = cloud.clock.at
    cloud.emulator.faults.add(Fault("token", delay=30))
    answer = await cloud.ask()

    assert cloud.clock.slept == [30]
    assert answer.json()["expires_at"] == arrived + 30 + 1200
    assert cloud.emulator.journal[-1].at == arrived


async def test_expired_key(cloud):
    """A token of a retired key is refused by STS for its signature."""
    cloud.emulator.faults.add(Fault("token", expired_key=True))

    assert (await cloud.assume()).json()["Code"] == "AuthenticationFail.OIDCToken.InvalidSignature"


async def test_expiry_in_the_past(cloud):
    """Tokens and sessions can be issued already expired."""
    cloud.emulator.faults.add(Fault("token", expiration_offset=-60))
    token = (await cloud.ask()).json()
    cloud.emulator.faults.add(Fault("sts", expiration_offset=-60))
    session = (await cloud.assume()).json()["Credentials"]

    assert jwt.decode(token["access_token"], options={"verify_signature": False})["exp"] == cloud.clock.at - 60
    assert (token["expires_in"], token["expires_at"]) == (-60, cloud.clock.at - 60)
    assert session["Expiration"] == "2026-01-02T03:03:05Z"


async def test_drop(cloud):
    """A dropped connection reaches an in-process caller as the error it is."""
    cloud.emulator.faults.add(Fault(drop=True))

    with pytest.raises(DroppedError):
        await cloud.ask()
    assert cloud.emulator.journal[-1].outcome == "dropped"


async def test_order_and_count(cloud):
    """Faults wait in order, for their kind, and happen as often as they say; None is for ever, until cleared."""
    faults = cloud.emulator.faults
    faults.add(Fault("sts", status=500), Fault("token", times=2, status=501), Fault("token", times=None, status=502))
    statuses = [(await cloud.ask()).status_code for _ in range(5)]
    waiting = [fault.status for fault in faults]
    faults.clear()

    assert statuses == [501, 501, 502, 502, 502]
    assert waiting == [500, 502]
    assert (await cloud.ask()).status_code == 200


async def test_fault_of_one_request(cloud):
    """A request can bring its own fault; those that wait are not touched by it."""
    cloud.emulator.faults.add(Fault("token", status=500))
    answer = await cloud.ask(headers={FAULT_HEADER: json.dumps({"code": "invalid_scope", "expirationOffset": None})})
    wrong = await cloud.ask(headers={FAULT_HEADER: '{"cod": "invalid_scope"}'})

    assert answer.json()["error"] == "invalid_scope"
    assert (wrong.status_code, "did you mean code?" in wrong.json()["error"]) == (400, True)
    assert (await cloud.ask()).status_code == 500


async def test_every_answer_is_marked(cloud):
    """Whatever the emulator says, it says that it is one, and what time it thinks it is."""
    cloud.emulator.faults.add(Fault("token", body=b""))
    answers = [await cloud.ask(), await cloud.ask(), await cloud.ask(client_id="x"), await cloud.assume()]
    answers += [await cloud.http.get(path) for path in ("/nothing", "/_emulator/nothing", "/_emulator/world")]
    answers += [await cloud.http.get("/api/v2/iauths_system/oauth2/token"), await cloud.http.put("/")]

    assert {answer.headers[MARK_HEADER] for answer in answers} == {"1"}
    assert {answer.headers["date"] for answer in answers} == {"Fri, 02 Jan 2026 03:04:05 GMT"}
    assert [answer.status_code for answer in answers] == [200, 200, 401, 200, 404, 404, 200, 405, 405]


async def test_own_mistakes_are_marked(signing_key):
    """Even when the emulator itself fails, its 500 is marked."""

    def no_random(size):
        raise RuntimeError("no randomness")

    emulator = Emulator(World.default(), random=no_random, signing_key=signing_key)
    transport = httpx.ASGITransport(app=emulator, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        answer = await http.post("/")

    assert (answer.status_code, answer.headers[MARK_HEADER]) == (500, "1")


async def test_lifespan_is_tolerated(cloud):
    """A server that speaks lifespan is answered."""
    asked = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    answered = []

    async def receive():
        return next(asked)

    async def note(message):
        answered.append(message["type"])

    await cloud.emulator({"type": "lifespan"}, receive, note)

    assert answered == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_journal(cloud):
    """Each call is noted with its kind, its time, how it ended and what it carried."""
    await cloud.ask(client_secret="wrong", headers={"User-Agent": "test"})
    await cloud.assume()
    journal = cloud.emulator.journal

    assert [(call.kind, call.outcome) for call in journal] == [
        ("token", "invalid_client"),
        ("token", "ok"),
        ("sts", "ok"),
    ]
    assert journal[0].at == cloud.clock.at
    assert (journal[0].fields["client_secret"], journal[0].fields["user-agent"]) == ("wrong", "test")
    assert journal[2].fields[":method"] == "POST"
    assert "OIDCToken" not in journal[2].fields[":query"]
    assert cloud.emulator.totals == {"token": 2, "sts": 1}
    assert "wrong" not in repr(journal)


def test_journal_is_bounded():
    """Only the last calls are kept."""
    journal = Journal()
    for number in range(LIMIT + 5):
        journal.note(Call("token", number, "ok", {}))

    assert (len(journal), journal[0].at) == (LIMIT, 5)


async def test_admin_faults(cloud):
    """Faults can be added, listed and cleared over the admin path; a wrong one is refused with the reason."""
    added = await cloud.http.post(
        "/_emulator/faults", json={"kind": "token", "times": None, "status": 503, "body": "{"}
    )
    wrong = await cloud.http.post("/_emulator/faults", json={"kind": "tokens"})
    asked = await cloud.ask()
    listed = (await cloud.http.get("/_emulator/faults")).json()
    cleared = (await cloud.http.delete("/_emulator/faults")).json()

    assert (added.status_code, wrong.status_code) == (200, 400)
    assert wrong.json()["error"].startswith("kind: must be one of")
    assert (asked.status_code, asked.text) == (503, "{")
    assert [(fault["kind"], fault["body"]) for fault in listed] == [("token", "{")]
    assert cleared == []


async def test_admin_world(cloud):
    """The world is shown without its secrets, and can be replaced by one that is right."""
    shown = await cloud.http.get("/_emulator/world")
    await cloud.http.put("/_emulator/world", content=World.default(token_seconds=77).to_json())
    wrong = await cloud.http.put("/_emulator/world", content="{}")

    assert shown.json()["clients"]["app_demo"]["secrets"] == [{"value": "***", "expiresAt": None}]
    assert (await cloud.ask()).json()["expires_in"] == 77
    assert wrong.status_code == 400


async def test_admin_journal(cloud):
    """The journal shows no secret, token or assertion; clearing it keeps the totals."""
    token = await cloud.token()
    await cloud.assume(OIDCToken=token)
    shown = await cloud.http.get("/_emulator/journal")
    cleared = (await cloud.http.delete("/_emulator/journal")).json()

    assert CLIENT_SECRET not in shown.text
    assert token not in shown.text
    assert shown.json()["calls"][0]["fields"]["client_id"] == "app_demo"
    assert cleared == {"totals": {"token": 1, "sts": 1}, "calls": []}


@pytest.mark.parametrize(("query", "status"), [("", 200), ("?retire=true", 401)])
async def test_admin_rotate(cloud, query, status):
    """The signing key can be rotated, and the previous one retired."""
    token = await cloud.token()
    await cloud.http.post(f"/_emulator/rotate{query}")

    assert (await cloud.assume(OIDCToken=token)).status_code == status


GUARDS = [
    ({}, 200),
    ({"Host": "localhost"}, 200),
    ({"Host": "[::1]:7080"}, 200),
    ({"Host": "evil.example:7080"}, 403),
    ({"Host": "127.0.0.1.evil.example"}, 403),
    ({"Host": "[::1"}, 403),
    ({"Origin": "http://127.0.0.1:7080"}, 403),
    ({"Origin": "null"}, 403),
]


@pytest.mark.parametrize(("headers", "status"), GUARDS)
async def test_admin_is_not_for_browsers(cloud, headers, status):
    """Neither a page that posts to loopback nor one that rebinds its name gets through to the admin path."""
    assert (await cloud.http.get("/_emulator/journal", headers=headers)).status_code == status
