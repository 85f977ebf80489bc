"""Faults, the journal, and what every response of the emulator contains."""

import json

import httpx
import jwt
import pytest

from app.emulator import FAULT_HEADER, MARKER_HEADER, DroppedError, Emulator, Fault, World
from app.emulator.http.journal import MAX_CALLS, Call, Journal

THROTTLED = {"x-acs-retry-after": "1500"}
ERROR_FAULTS = [
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


async def send(cloud, kind):
    """Send a correct request to the endpoint of `kind`."""
    return await (cloud.request_token() if kind == "token" else cloud.assume_role_with_oidc())


@pytest.mark.parametrize(("fault", "kind", "status", "body"), ERROR_FAULTS)
async def test_refusing_faults(cloud, fault, kind, status, body):
    """A fault's error has its endpoint's format, a plausible status and the fault's headers, and happens once."""
    cloud.emulator.faults.add(fault)
    response, following = await send(cloud, kind), await send(cloud, kind)

    assert response.status_code == status
    assert body.items() <= response.json().items()
    assert fault.headers.items() <= dict(response.headers).items()
    assert following.status_code == 200


async def test_raw_bodies(cloud):
    """Truncated JSON, HTML and megabytes are sent as they are."""
    html = Fault(body=b"<html></html>", content_type="text/html")
    cloud.emulator.faults.add(Fault(body=b'{"access'), html, Fault(body=b"x" * 5_000_000))
    responses = [await cloud.request_token() for _ in range(3)]

    assert [len(response.content) for response in responses] == [8, 13, 5_000_000]
    assert responses[1].headers["content-type"].startswith("text/html")


async def test_redirect(cloud):
    """A redirect has its Location and no body."""
    cloud.emulator.faults.add(Fault(status=307, headers={"Location": "https://elsewhere.example/"}))
    response = await cloud.request_token()

    assert (response.status_code, response.headers["location"], response.content) == (
        307,
        "https://elsewhere.example/",
        b"",
    )


async def test_delay(cloud):
    """A delayed request is verified at the time after the delay, and recorded with the time of its arrival."""
    arrived_at = cloud.clock.at
    cloud.emulator.faults.add(Fault("token", delay=30))
    response = await cloud.request_token()

    assert cloud.clock.slept == [30]
    assert response.json()["expires_at"] == arrived_at + 30 + 1200
    assert cloud.emulator.journal[-1].at == arrived_at


async def test_expired_key(cloud):
    """STS refuses a token of a retired key because of its signature."""
    cloud.emulator.faults.add(Fault("token", expired_key=True))

    assert (await cloud.assume_role_with_oidc()).json()["Code"] == "AuthenticationFail.OIDCToken.InvalidSignature"


async def test_expiry_in_the_past(cloud):
    """Tokens and sessions can be issued already expired."""
    cloud.emulator.faults.add(Fault("token", expiration_offset=-60))
    token = (await cloud.request_token()).json()
    cloud.emulator.faults.add(Fault("sts", expiration_offset=-60))
    session = (await cloud.assume_role_with_oidc()).json()["Credentials"]

    assert jwt.decode(token["access_token"], options={"verify_signature": False})["exp"] == cloud.clock.at - 60
    assert (token["expires_in"], token["expires_at"]) == (-60, cloud.clock.at - 60)
    assert session["Expiration"] == "2026-01-02T03:03:05Z"


async def test_drop(cloud):
    """A dropped connection raises DroppedError for an in-process caller."""
    cloud.emulator.faults.add(Fault(drop=True))

    with pytest.raises(DroppedError):
        await cloud.request_token()
    assert cloud.emulator.journal[-1].outcome == "dropped"


async def test_order_and_count(cloud):
    """Faults are used in order, for their kind, `times` times each; with None they apply until cleared."""
    faults = cloud.emulator.faults
    faults.add(Fault("sts", status=500), Fault("token", times=2, status=501), Fault("token", times=None, status=502))
    statuses = [(await cloud.request_token()).status_code for _ in range(5)]
    pending = [fault.status for fault in faults]
    faults.clear()

    assert statuses == [501, 501, 502, 502, 502]
    assert pending == [500, 502]
    assert (await cloud.request_token()).status_code == 200


async def test_fault_of_one_request(cloud):
    """A request can send its own fault, which uses up no pending fault."""
    cloud.emulator.faults.add(Fault("token", status=500))
    response = await cloud.request_token(
        headers={FAULT_HEADER: json.dumps({"code": "invalid_scope", "expirationOffset": None})}
    )
    wrong = await cloud.request_token(headers={FAULT_HEADER: '{"cod": "invalid_scope"}'})

    assert response.json()["error"] == "invalid_scope"
    assert (wrong.status_code, "did you mean code?" in wrong.json()["error"]) == (400, True)
    assert (await cloud.request_token()).status_code == 500


async def test_every_response_is_marked(cloud):
    """Every response has the marker header and the date of the emulator's clock."""
    cloud.emulator.faults.add(Fault("token", body=b""))
    responses = [
        await cloud.request_token(),
        await cloud.request_token(),
        await cloud.request_token(client_id="x"),
        await cloud.assume_role_with_oidc(),
    ]
    responses += [await cloud.http.get(path) for path in ("/nothing", "/_emulator/nothing", "/_emulator/world")]
    responses += [await cloud.http.get("/api/v2/iauths_system/oauth2/token"), await cloud.http.put("/")]

    assert {response.headers[MARKER_HEADER] for response in responses} == {"1"}
    assert {response.headers["date"] for response in responses} == {"Fri, 02 Jan 2026 03:04:05 GMT"}
    assert [response.status_code for response in responses] == [200, 200, 401, 200, 404, 404, 200, 405, 405]


async def test_internal_errors_are_marked(signing_key):
    """The 500 for a defect of the emulator has the marker header."""

    def no_random(size):
        raise RuntimeError("no randomness")

    emulator = Emulator(World.default(), random=no_random, signing_key=signing_key)
    transport = httpx.ASGITransport(app=emulator, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        response = await http.post("/")

    assert (response.status_code, response.headers[MARKER_HEADER]) == (500, "1")


async def test_lifespan_is_tolerated(cloud):
    """The lifespan events of an ASGI server are acknowledged."""
    events = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    acknowledged = []

    async def receive():
        return next(events)

    async def send_event(message):
        acknowledged.append(message["type"])

    await cloud.emulator({"type": "lifespan"}, receive, send_event)

    assert acknowledged == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_journal(cloud):
    """Each call is recorded with its kind, time, outcome and fields."""
    await cloud.request_token(client_secret="wrong", headers={"User-Agent": "test"})
    await cloud.assume_role_with_oidc()
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
    """The journal holds the last MAX_CALLS calls."""
    journal = Journal()
    for number in range(MAX_CALLS + 5):
        journal.record(Call("token", number, "ok", {}))

    assert (len(journal), journal[0].at) == (MAX_CALLS, 5)
