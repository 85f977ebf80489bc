"""What a request's head gets for an answer, without a socket: routes, the guard's reasons, tokens, cold starts."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable

import pytest

from app.emulator import Emulator, Fault
from app.serve.access import Request
from app.serve.ecs_metadata import MetadataValues, SessionTokens, ttl_of
from app.serve.handlers.credentials import Answer, Desk, Wait
from app.serve.responses import NOT_FOUND

from ..clock import Clock
from ..conftest import Bench, configuration, desk, running

HOST = (b"host", b"127.0.0.1:7117")
ROLES = b"/latest/meta-data/ram/security-credentials"
PATH_TOKEN = b"path-token-0123456789"


@pytest.fixture
async def ready(bench: Callable[..., Bench], clock: Clock) -> AsyncIterator[Bench]:
    """Two profiles, both with credentials."""
    sidecar = bench(configuration("default", "p2"))
    async with running(*sidecar.refreshers.values()):
        await clock.asleep(2)
        yield sidecar


def ask(at: Desk, target: bytes, *headers: tuple[bytes, bytes], method: bytes = b"GET", host: bool = True) -> Answer:
    answer = at.answer(Request(method, target, [*([HOST] if host else []), *headers]))
    assert isinstance(answer, Answer)
    return answer


def code(answer: Answer) -> str:
    return str(json.loads(answer.reply.body)["Code"])


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/credentials", 200),
        (b"/credentials/", 200),
        (b"/credentials?", 200),
        (b"/credentials?user=a+b&x=2", 200),
        (b"/credentials/default", 200),
        (b"/credentials/p2/", 200),
        (b"/credentials/nobody", 404),
        (b"/credentials//", 404),
        (b"//credentials", 404),
        (b"/Credentials", 404),
        (b"/credentials/P2", 404),
        (b"/%63redentials", 404),
        (b"/credentials%00", 404),
        (b"/credentials/../credentials", 404),
        (b"/credentials#x", 404),
        (b"/", 404),
        (b"/metrics", 404),
        (b"/status.json", 404),
        (b"/healthz", 200),
        (ROLES, 200),
        (ROLES + b"/", 200),
        (ROLES + b"/?", 200),
        (ROLES + b"/p2", 200),
        (ROLES + b"/p2?", 200),
        (b"/latest/meta-data/Ram/security-credentials/default", 200),
        (b"/Latest/Meta-Data/RAM/Security-Credentials/default", 200),
        (ROLES + b"/Default", 404),
        (ROLES + b"/nobody", 404),
        (ROLES + b"x/default", 404),
        (b"/latest/meta-data/region-id", 404),
        (b"/latest/dynamic/instance-identity/document", 404),
        (b"/latest/", 404),
    ],
)
async def test_routes(ready: Bench, target: bytes, status: int) -> None:
    """Only the documented paths answer; they are matched raw, and only the ECS prefix ignores case."""
    assert ask(ready.desk, target).reply.status == status


async def test_profiles_get_their_own(ready: Bench) -> None:
    """Each profile's path has that profile's credentials, on the URI and the ECS side alike."""
    first, second = (json.loads(ask(ready.desk, path).reply.body) for path in (b"/credentials", b"/credentials/p2"))
    role = json.loads(ask(ready.desk, ROLES + b"/p2").reply.body)

    assert first["AccessKeyId"] == ready.refreshers["default"].credentials().access_key_id
    assert second == role
    assert first["AccessKeyId"] != second["AccessKeyId"]


@pytest.mark.parametrize("target", [b"/credentials", ROLES, ROLES + b"/default", b"/healthz"])
@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH", b"TRACE"])
async def test_other_methods(ready: Bench, target: bytes, method: bytes) -> None:
    """What is only to be read answers 405 to everything but GET, and says so in Allow."""
    reply = ask(ready.desk, target, method=method).reply

    assert reply.status == 405
    assert dict(reply.headers)[b"Allow"] == b"GET"


async def test_every_answer_has_length_and_type(ready: Bench) -> None:
    """Content-Length equals the body and Content-Type is there, also on errors, tokens and role lists."""
    targets = (b"/credentials", b"/nowhere", ROLES, ROLES + b"/default", b"/healthz", b"/latest/api/token")
    for target in targets:
        reply = ask(ready.desk, target).reply
        headers = dict(reply.headers)
        assert int(headers[b"Content-Length"]) == len(reply.body) > 0
        assert headers[b"Content-Type"]
        assert headers[b"Cache-Control"] == b"no-store"


async def test_answers_are_made_once(ready: Bench) -> None:
    """The same bytes object answers every request until the next refresh makes another."""
    before = ask(ready.desk, b"/credentials").reply
    assert ask(ready.desk, b"/credentials").reply is before

    await ready.clock.advance(1400)

    assert ask(ready.desk, b"/credentials").reply is not before


async def test_role_list_is_one_name_without_newline(ready: Bench) -> None:
    """Python uses the list's body raw: a newline would become part of its next path."""
    assert ask(ready.desk, ROLES + b"/").reply.body == b"default"


async def test_role_list_without_default(bench: Callable[..., Bench]) -> None:
    """Without a profile `default` the list names the first profile of the file."""
    sidecar = bench(configuration("p3", "p2"))

    assert ask(sidecar.desk, ROLES).reply.body == b"p3"


# --- cold start and outages -------------------------------------------------------------------------------------------


async def test_cold_start_waits(bench: Callable[..., Bench]) -> None:
    """Before the first attempt has ended a request waits, within each protocol's patience."""
    sidecar = bench()

    uri = sidecar.desk.answer(Request(b"GET", b"/credentials", [HOST]))
    ecs = sidecar.desk.answer(Request(b"GET", ROLES + b"/default", [HOST]))

    assert isinstance(uri, Wait)
    assert isinstance(ecs, Wait)
    assert (uri.patience, ecs.patience) == (4.0, 0.8)


async def test_503_says_why_and_when(bench: Callable[..., Bench], emulator: Emulator, clock: Clock) -> None:
    """Without credentials the answer is 503 with Retry-After and the upstream's code, not its words."""
    emulator.faults.add(Fault("sts", code="AuthenticationFail.NoPermission", message="upstream's own words"))
    sidecar = bench()
    async with running(*sidecar.refreshers.values()):
        await clock.asleep()
        answer = sidecar.desk.answer(Request(b"GET", b"/credentials", [HOST]), waited=True)

    assert (answer.reply.status, code(answer)) == (503, "CredentialsUnavailable")
    assert dict(answer.reply.headers)[b"Retry-After"] == b"225"
    assert b"AuthenticationFail.NoPermission" in answer.reply.body
    assert b"own words" not in answer.reply.body


async def test_one_profiles_failure_is_its_own(bench: Callable[..., Bench], clock: Clock) -> None:
    """A broken profile answers 503 while its neighbour answers 200."""
    config = configuration("default", "p2")
    config["profiles"]["p2"]["exchange"]["roleArn"] = "acs:ram::1234567890123456:role/absent"
    sidecar = bench(config)
    async with running(*sidecar.refreshers.values()):
        await clock.asleep(2)
        good = sidecar.desk.answer(Request(b"GET", b"/credentials", [HOST]), waited=True)
        bad = sidecar.desk.answer(Request(b"GET", b"/credentials/p2", [HOST]), waited=True)

    assert (good.reply.status, bad.reply.status) == (200, 503)


# --- the guard --------------------------------------------------------------------------------------------------------

GOOD_HOSTS = (
    b"127.0.0.1",
    b"127.0.0.1:7117",
    b"localhost",
    b"LocalHost:1",
    b"[::1]",
    b"[::1]:7117",
    b"100.100.100.200",
)
BAD_HOSTS = (
    b"evil.example",
    b"evil.example:7117",
    b"127.0.0.1.nip.io",
    b"127.0.0.1@evil.example",
    b"evil.example@127.0.0.1",
    b"",
    b"localhost.",
    b"127.0.0.1:port",
    b"[::1",
    b"127.0.0.1 evil.example",
)


@pytest.mark.parametrize("host", GOOD_HOSTS)
async def test_good_hosts(ready: Bench, host: bytes) -> None:
    """The host part of a loopback or metadata Host passes, with any port or none."""
    assert ask(ready.desk, b"/credentials", (b"host", host), host=False).reply.status == 200


@pytest.mark.parametrize("host", BAD_HOSTS)
async def test_bad_hosts(ready: Bench, host: bytes) -> None:
    """Any other host is refused: it is what a rebound name looks like."""
    answer = ask(ready.desk, b"/credentials", (b"host", host), host=False)

    assert (answer.reply.status, code(answer), answer.denied) == (403, "AccessDenied.Host", "Host")


@pytest.mark.parametrize("headers", [[], [HOST, HOST]], ids=["missing", "twice"])
async def test_unclear_hosts(ready: Bench, headers: list[tuple[bytes, bytes]]) -> None:
    """No Host or two of them is no request to reason about: 400."""
    answer = ask(ready.desk, b"/credentials", *headers, host=False)

    assert (answer.reply.status, code(answer)) == (400, "BadRequest")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"x-forwarded-for", "Forwarded"),
        (b"x-forwarded-host", "Forwarded"),
        (b"x-forwarded-proto", "Forwarded"),
        (b"x-forwarded-anything", "Forwarded"),
        (b"forwarded", "Forwarded"),
        (b"via", "Forwarded"),
        (b"x-real-ip", "Forwarded"),
        (b"origin", "Browser"),
        (b"sec-fetch-site", "Browser"),
        (b"sec-fetch-mode", "Browser"),
    ],
)
@pytest.mark.parametrize("value", [b"", b"203.0.113.7"], ids=["empty", "value"])
async def test_suspicious_headers(ready: Bench, header: bytes, reason: str, value: bytes) -> None:
    """Proxies' and browsers' headers are refused whatever they say, on GET and PUT alike."""
    get = ask(ready.desk, b"/credentials", (header, value))
    put = ask(ready.desk, b"/latest/api/token", (header, value), method=b"PUT")

    assert [get.denied, put.denied] == [reason, reason]
    assert [get.reply.status, put.reply.status] == [403, 403]
    assert code(get) == f"AccessDenied.{reason}"


async def test_absolute_form(ready: Bench) -> None:
    """A target with a scheme and host is a proxy's request."""
    answer = ask(ready.desk, b"http://127.0.0.1:7117/credentials")

    assert (answer.reply.status, answer.denied) == (403, "Forwarded")


# --- secrets in the path and metadata tokens --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "header", "status"),
    [
        (b"/%s/credentials" % PATH_TOKEN, None, 200),
        (b"/%s/credentials/p2" % PATH_TOKEN, None, 200),
        (b"/credentials", PATH_TOKEN, 200),
        (ROLES + b"/default", PATH_TOKEN, 200),
        (b"/credentials", None, 403),
        (b"/credentials", b"wrong", 403),
        (b"/%s" % PATH_TOKEN, None, 404),
        (b"/wrong-token-0123456789/credentials", None, 403),
        (b"/%s/credentials" % PATH_TOKEN[:-1], None, 403),
        (b"/credentials?token=%s" % PATH_TOKEN, None, 403),
        (b"/credentials?__ssrf_token=%s" % PATH_TOKEN, None, 403),
        (ROLES + b"/default", None, 403),
        (b"/%s%s/default" % (PATH_TOKEN, ROLES), None, 404),
        (b"/healthz", None, 200),
    ],
)
async def test_path_token(ready: Bench, target: bytes, header: bytes | None, status: int) -> None:
    """With a path token every credential needs it, as first segment or as header, never in a query."""
    at = desk(ready.refreshers, ready.clock, ready.traffic, path_token=PATH_TOKEN)
    headers = [(b"x-aliyun-parameters-secrets-token", header)] if header else []

    assert ask(at, target, *headers).reply.status == status


TTL = b"x-aliyun-ecs-metadata-token-ttl-seconds"
TOKEN = b"x-aliyun-ecs-metadata-token"


def new_token(at: Desk, ttl: bytes = b"21600") -> bytes:
    reply = ask(at, b"/latest/api/token", (TTL, ttl), method=b"PUT").reply
    assert reply.status == 200
    return reply.body


async def test_session_token_is_one_short_line(ready: Bench) -> None:
    """The token's body is what nine SDKs put into a header as it is: visible ASCII, no newline, under 256 bytes."""
    token = new_token(ready.desk)

    assert token.decode().isprintable()
    assert b" " not in token
    assert len(token) < 256


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([b"1"], 1),
        ([b"60"], 60),
        ([b" 60"], 60),
        ([b"21600"], 21_600),
        ([b"0"], None),
        ([b"-1"], None),
        ([b"21601"], None),
        ([b"1e3"], None),
        ([b"+60"], None),
        ([b"60.0"], None),
        (["٦٠".encode()], None),
        ([b""], None),
        ([], None),
        ([b"60", b"60"], None),
    ],
)
def test_ttl(values: list[bytes], expected: int | None) -> None:
    """A TTL is 1 to 21600 in plain digits, given once; anything else is a 400."""
    assert ttl_of(values) == expected


async def test_bad_ttl_is_400(ready: Bench) -> None:
    """A bad TTL answers BadRequest and no token."""
    answer = ask(ready.desk, b"/latest/api/token", (TTL, b"0"), method=b"PUT")

    assert (answer.reply.status, code(answer)) == (400, "BadRequest")


async def test_token_path_takes_only_put(ready: Bench) -> None:
    """GET on the token path is 405."""
    assert ask(ready.desk, b"/latest/api/token").reply.status == 405


@pytest.mark.parametrize(("required", "without"), [(False, 200), (True, 401)], ids=["optional", "required"])
async def test_metadata_tokens(ready: Bench, required: bool, without: int) -> None:
    """A token that is sent must be valid in both modes; one that is missing matters in required mode alone."""
    at = desk(ready.refreshers, ready.clock, ready.traffic, required=required)
    token = new_token(at, b"180")
    role = ROLES + b"/default"

    assert ask(at, role, (TOKEN, token)).reply.status == 200
    assert ask(at, ROLES, (TOKEN, token)).reply.status == 200
    assert ask(at, role).reply.status == without
    assert ask(at, role, (TOKEN, b"")).reply.status == 401
    assert ask(at, role, (TOKEN, token[:-1] + b"A")).reply.status == 401
    assert ask(at, role, (TOKEN, token), (TOKEN, token)).reply.status == 401
    ready.clock.skip(180)
    assert ask(at, role, (TOKEN, token)).reply.status == 401


def test_another_instances_token(clock: Clock) -> None:
    """A token sealed with another key, or bent in any byte, is none."""
    ours, theirs = SessionTokens(b"a" * 32, clock.time), SessionTokens(b"b" * 32, clock.time)
    token = ours.issue(60)
    bent = [token[:at] + bytes([token[at] ^ 1]) + token[at + 1 :] for at in range(len(token))]

    assert ours.valid(token)
    assert not theirs.valid(token)
    assert not any(ours.valid(item) for item in [*bent, token + b"=", token[:-1], b"", b"\xff\xfe"])


def test_a_token_of_before_a_boot(clock: Clock) -> None:
    """Where the key is kept and the clock begins anew, a token with longer to live than any may is none."""
    kept, later = SessionTokens(b"k" * 32, clock.time), clock.time() - 50_000
    again = SessionTokens(b"x" * 32, lambda: later)
    again.rekey(b"k" * 32)

    assert not again.valid(kept.issue(21_600))
    assert again.valid(again.issue(21_600))


async def test_metadata_listener_serves_nothing_else(ready: Bench) -> None:
    """On the metadata address the ECS paths answer and every other path is 404."""
    at = desk(ready.refreshers, ready.clock, ready.traffic, metadata_only=True)

    assert ask(at, ROLES + b"/default").reply.status == 200
    assert [ask(at, path).reply.status for path in (b"/credentials", b"/healthz", b"/")] == [404, 404, 404]


VALUES = MetadataValues(
    {"region-id": "cn-hangzhou", "vpc-id": "vpc-1", "instance-id": "i-1", "tags/instance/team": "shop"}, document=True
)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (b"/latest/meta-data/region-id", b"cn-hangzhou"),
        (b"/Latest/Meta-Data/region-id", b"cn-hangzhou"),
        (b"/latest/meta-data/vpc-id?", b"vpc-1"),
        (b"/latest/meta-data/tags/instance/team", b"shop"),
        (b"/latest/meta-data", b"instance-id\nram/\nregion-id\ntags/\nvpc-id"),
        (b"/latest/meta-data/", b"instance-id\nram/\nregion-id\ntags/\nvpc-id"),
        (
            b"/latest/dynamic/instance-identity/document",
            b'{"region-id": "cn-hangzhou", "vpc-id": "vpc-1", "instance-id": "i-1"}',
        ),
        (b"/latest/meta-data/Region-Id", None),
        (b"/latest/meta-data/region-id/", None),
        (b"/latest/meta-data/zone-id", None),
        (b"/latest/meta-data/tags/instance/", None),
        (b"/latest/user-data", None),
    ],
)
@pytest.mark.parametrize("metadata_only", [False, True])
async def test_values_of_the_machine(ready: Bench, path: bytes, answer: bytes | None, metadata_only: bool) -> None:
    """What is configured is answered, as text without a newline at its end, and nothing else is."""
    at = desk(ready.refreshers, ready.clock, ready.traffic, metadata_only=metadata_only, values=VALUES)
    reply = ask(at, path).reply

    assert (reply.status, reply.body) == ((200, answer) if answer is not None else (404, NOT_FOUND.body))
    assert ask(at, path, method=b"PUT").reply.status == (405 if answer is not None else 404)


async def test_values_need_what_roles_need(ready: Bench) -> None:
    """Hardened mode and the path token hold for them too."""
    hardened = desk(ready.refreshers, ready.clock, ready.traffic, required=True, values=VALUES)
    hidden = desk(ready.refreshers, ready.clock, ready.traffic, path_token=PATH_TOKEN, values=VALUES)
    token = new_token(hardened)

    assert ask(hardened, b"/latest/meta-data/vpc-id").reply.status == 401
    assert ask(hardened, b"/latest/meta-data/vpc-id", (TOKEN, token)).reply.status == 200
    assert ask(hidden, b"/latest/meta-data/vpc-id").reply.status == 403


async def test_a_read_below_the_horizon_is_counted(ready: Bench, clock: Clock) -> None:
    """An answer with less life than promised, though the last refresh succeeded, is a violation that metrics show."""
    ask(ready.desk, b"/credentials")
    assert ready.traffic.violations["default"] == 0

    clock.skip(1800)
    ask(ready.desk, b"/credentials")

    assert ready.traffic.violations["default"] == 1
