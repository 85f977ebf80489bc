"""Responses of the credential handler without a socket: routes, access rules, tokens, cold start."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable

import pytest

from app.emulator import Emulator, Fault
from app.serve.ecs_metadata import MetadataValues, SessionTokens, ttl_of
from app.serve.handlers.credentials import CredentialHandler
from app.serve.handlers.outcome import Answer, Pending
from app.serve.request import Request
from app.serve.responses import NOT_FOUND

from ..clock import Clock
from ..conftest import Offline, configuration, handler, running

HOST = (b"host", b"127.0.0.1:7117")
ROLES = b"/latest/meta-data/ram/security-credentials"
PATH_TOKEN = b"path-token-0123456789"


@pytest.fixture
async def ready(offline: Callable[..., Offline], clock: Clock) -> AsyncIterator[Offline]:
    """A sidecar with two profiles that have credentials."""
    sidecar = offline(configuration("default", "p2"))
    async with running(*sidecar.refreshers.values()):
        await clock.asleep(2)
        yield sidecar


def request(
    at: CredentialHandler, target: bytes, *headers: tuple[bytes, bytes], method: bytes = b"GET", host: bool = True
) -> Answer:
    """Return the handler's answer to a request that needs no wait."""
    answer = at.decide(Request(method, target, [*([HOST] if host else []), *headers]))
    assert isinstance(answer, Answer)
    return answer


def code(answer: Answer) -> str:
    """Return the Code of an answer."""
    return str(json.loads(answer.response.body)["Code"])


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
async def test_routes(ready: Offline, target: bytes, status: int) -> None:
    """Only the documented paths are served; they are compared without decoding; only the ECS prefix ignores case."""
    assert request(ready.handler, target).response.status == status


async def test_profiles_get_their_own(ready: Offline) -> None:
    """Each profile's path returns that profile's credentials, by URI and by ECS role."""
    first, second = (
        json.loads(request(ready.handler, path).response.body) for path in (b"/credentials", b"/credentials/p2")
    )
    role = json.loads(request(ready.handler, ROLES + b"/p2").response.body)

    assert first["AccessKeyId"] == ready.refreshers["default"].credentials().access_key_id
    assert second == role
    assert first["AccessKeyId"] != second["AccessKeyId"]


@pytest.mark.parametrize("path", [b"/aws/p2", b"/aws/p2/", b"/aws/p2?x"])
async def test_document_for_the_sdks_of_aws(ready: Offline, path: bytes) -> None:
    """`/aws/{profile}` returns the profile's session as the AWS SDKs read it, with the token under both names."""
    ours = json.loads(request(ready.handler, b"/credentials/p2").response.body)
    answer = request(ready.handler, path)

    assert json.loads(answer.response.body) == {
        "Version": 1,
        "AccessKeyId": ours["AccessKeyId"],
        "SecretAccessKey": ours["AccessKeySecret"],
        "SessionToken": ours["SecurityToken"],
        "Token": ours["SecurityToken"],
        "Expiration": ours["Expiration"],
    }
    assert (answer.label, answer.profile) == ("aws", "p2")


@pytest.mark.parametrize("path", [b"/aws", b"/aws/", b"/aws/nobody", b"/AWS/p2", b"/awsp2"])
async def test_paths_that_are_not_aws(ready: Offline, path: bytes) -> None:
    """Other paths than `/aws/{profile}` are not found."""
    assert request(ready.handler, path).response.status == 404


async def test_aws_needs_the_path_token(ready: Offline) -> None:
    """The path token applies to the document for AWS SDKs as to every other one."""
    at = handler(ready.refreshers, ready.clock, path_token=PATH_TOKEN)

    assert request(at, b"/aws/p2").response.status == 403
    assert request(at, b"/" + PATH_TOKEN + b"/aws/p2").response.status == 200
    assert request(at, b"/aws/p2", method=b"POST").response.status == 403


@pytest.mark.parametrize("target", [b"/credentials", b"/aws/p2", ROLES, ROLES + b"/default"])
@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH", b"TRACE"])
async def test_other_methods(ready: Offline, target: bytes, method: bytes) -> None:
    """A path that can only be read answers every method but GET with 405 and Allow: GET."""
    response = request(ready.handler, target, method=method).response

    assert response.status == 405
    assert dict(response.headers)[b"Allow"] == b"GET"


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_healthz_can_be_read(ready: Offline, method: bytes) -> None:
    """The liveness of the credentials listener answers GET and HEAD, which `wget --spider` sends."""
    assert request(ready.handler, b"/healthz", method=method).response.status == 200


async def test_healthz_takes_no_other_method(ready: Offline) -> None:
    """The liveness of the credentials listener answers 405 to other methods."""
    response = request(ready.handler, b"/healthz", method=b"POST").response

    assert (response.status, dict(response.headers)[b"Allow"]) == (405, b"GET, HEAD")


async def test_every_answer_has_length_and_type(ready: Offline) -> None:
    """Every answer has a Content-Length that equals the body, Content-Type and no-store; errors too."""
    targets = (b"/credentials", b"/nowhere", ROLES, ROLES + b"/default", b"/healthz", b"/latest/api/token")
    for target in targets:
        response = request(ready.handler, target).response
        headers = dict(response.headers)
        assert int(headers[b"Content-Length"]) == len(response.body) > 0
        assert headers[b"Content-Type"]
        assert headers[b"Cache-Control"] == b"no-store"


async def test_answers_are_made_once(ready: Offline) -> None:
    """All requests get the same bytes object until the next refresh."""
    before = request(ready.handler, b"/credentials").response
    assert request(ready.handler, b"/credentials").response is before

    await ready.clock.advance(1400)

    assert request(ready.handler, b"/credentials").response is not before


async def test_role_list_is_one_name_without_newline(ready: Offline) -> None:
    """The role list has no newline: Python's SDK uses the body in its next path as it is."""
    assert request(ready.handler, ROLES + b"/").response.body == b"default"


async def test_role_list_without_default(offline: Callable[..., Offline]) -> None:
    """Without a profile `default` the role list names the first profile of the file."""
    sidecar = offline(configuration("p3", "p2"))

    assert request(sidecar.handler, ROLES).response.body == b"p3"


# --- cold start and outages -------------------------------------------------------------------------------------------


async def test_cold_start_waits(offline: Callable[..., Offline]) -> None:
    """Before the first attempt has ended, a request waits for the patience of its protocol: 4 s (URI), 0.8 s (ECS)."""
    sidecar = offline()

    uri = sidecar.handler.decide(Request(b"GET", b"/credentials", [HOST]))
    ecs = sidecar.handler.decide(Request(b"GET", ROLES + b"/default", [HOST]))

    assert isinstance(uri, Pending)
    assert isinstance(ecs, Pending)
    assert (uri.patience, ecs.patience) == (4.0, 0.8)


async def test_503_says_why_and_when(offline: Callable[..., Offline], emulator: Emulator, clock: Clock) -> None:
    """Without credentials the answer is 503 with Retry-After and the upstream's code, but not its message."""
    emulator.faults.add(Fault("sts", code="AuthenticationFail.NoPermission", message="upstream message"))
    sidecar = offline()
    async with running(*sidecar.refreshers.values()):
        await clock.asleep()
        answer = sidecar.handler.decide(Request(b"GET", b"/credentials", [HOST]), waited=True)

    assert (answer.response.status, code(answer)) == (503, "CredentialsUnavailable")
    assert dict(answer.response.headers)[b"Retry-After"] == b"225"
    assert b"AuthenticationFail.NoPermission" in answer.response.body
    assert b"upstream message" not in answer.response.body


async def test_failure_of_one_profile(offline: Callable[..., Offline], clock: Clock) -> None:
    """A profile that fails answers 503, and the other profile answers 200."""
    config = configuration("default", "p2")
    config["profiles"]["p2"]["exchange"]["roleArn"] = "acs:ram::1234567890123456:role/absent"
    sidecar = offline(config)
    async with running(*sidecar.refreshers.values()):
        await clock.asleep(2)
        good = sidecar.handler.decide(Request(b"GET", b"/credentials", [HOST]), waited=True)
        bad = sidecar.handler.decide(Request(b"GET", b"/credentials/p2", [HOST]), waited=True)

    assert (good.response.status, bad.response.status) == (200, 503)


# --- access rules -----------------------------------------------------------------------------------------------------

ALLOWED_HOSTS = (
    b"127.0.0.1",
    b"127.0.0.1:7117",
    b"localhost",
    b"LocalHost:1",
    b"[::1]",
    b"[::1]:7117",
    b"100.100.100.200",
)
FOREIGN_HOSTS = (
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


@pytest.mark.parametrize("host", ALLOWED_HOSTS)
async def test_allowed_hosts(ready: Offline, host: bytes) -> None:
    """A loopback or metadata host is accepted, with any port or none."""
    assert request(ready.handler, b"/credentials", (b"host", host), host=False).response.status == 200


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
async def test_foreign_hosts(ready: Offline, host: bytes) -> None:
    """Any other host is refused: a request after DNS rebinding looks like this."""
    answer = request(ready.handler, b"/credentials", (b"host", host), host=False)

    assert (answer.response.status, code(answer), answer.denied) == (403, "AccessDenied.Host", "Host")


@pytest.mark.parametrize("headers", [[], [HOST, HOST]], ids=["missing", "twice"])
async def test_missing_or_repeated_host(ready: Offline, headers: list[tuple[bytes, bytes]]) -> None:
    """A missing or repeated Host header gets 400."""
    answer = request(ready.handler, b"/credentials", *headers, host=False)

    assert (answer.response.status, code(answer)) == (400, "BadRequest")


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
        (b"sec-fetch-dest", "Browser"),
        (b"sec-fetch-user", "Browser"),
    ],
)
@pytest.mark.parametrize("value", [b"", b"203.0.113.7"], ids=["empty", "value"])
async def test_forwarding_and_browser_headers(ready: Offline, header: bytes, reason: str, value: bytes) -> None:
    """Headers of proxies and browsers are refused with any value, on GET and PUT."""
    get = request(ready.handler, b"/credentials", (header, value))
    put = request(ready.handler, b"/latest/api/token", (header, value), method=b"PUT")

    assert [get.denied, put.denied] == [reason, reason]
    assert [get.response.status, put.response.status] == [403, 403]
    assert code(get) == f"AccessDenied.{reason}"


@pytest.mark.parametrize("mode", [b"cors", b"navigate", b"no-cors", b"same-origin", b"websocket", b"CORS"])
async def test_fetch_of_node_is_no_browser(ready: Offline, mode: bytes) -> None:
    """Node's built-in `fetch` sends its `mode` as Sec-Fetch-Mode alone and is served; a browser adds Sec-Fetch-Site."""
    alone = request(ready.handler, b"/credentials", (b"sec-fetch-mode", mode))
    page = request(ready.handler, b"/credentials", (b"sec-fetch-mode", mode), (b"sec-fetch-site", b"same-origin"))

    assert alone.response.status == (200 if mode in (b"cors", b"no-cors", b"same-origin") else 403)
    assert page.response.status == 403


async def test_absolute_form(ready: Offline) -> None:
    """A target in absolute form is refused as forwarded."""
    answer = request(ready.handler, b"http://127.0.0.1:7117/credentials")

    assert (answer.response.status, answer.denied) == (403, "Forwarded")


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
async def test_path_token(ready: Offline, target: bytes, header: bytes | None, status: int) -> None:
    """With a path token every credential needs it, as first path segment or as header, never in a query."""
    at = handler(ready.refreshers, ready.clock, path_token=PATH_TOKEN)
    headers = [(b"x-aliyun-parameters-secrets-token", header)] if header else []

    assert request(at, target, *headers).response.status == status


TTL = b"x-aliyun-ecs-metadata-token-ttl-seconds"
TOKEN = b"x-aliyun-ecs-metadata-token"


def new_token(at: CredentialHandler, ttl: bytes = b"21600") -> bytes:
    """Fetch a session token."""
    response = request(at, b"/latest/api/token", (TTL, ttl), method=b"PUT").response
    assert response.status == 200
    return response.body


async def test_session_token_is_one_short_line(ready: Offline) -> None:
    """A session token is printable ASCII without space or newline, under 256 bytes: nine SDKs send it as it is."""
    token = new_token(ready.handler)

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
    """A TTL is 1 to 21600 in plain digits, given once; every other value is invalid."""
    assert ttl_of(values) == expected


async def test_bad_ttl_is_400(ready: Offline) -> None:
    """An invalid TTL answers BadRequest without a token."""
    answer = request(ready.handler, b"/latest/api/token", (TTL, b"0"), method=b"PUT")

    assert (answer.response.status, code(answer)) == (400, "BadRequest")


async def test_token_path_takes_only_put(ready: Offline) -> None:
    """GET on the token path answers 405."""
    assert request(ready.handler, b"/latest/api/token").response.status == 405


@pytest.mark.parametrize(("required", "status"), [(False, 200), (True, 401)], ids=["optional", "required"])
async def test_metadata_tokens(ready: Offline, required: bool, status: int) -> None:
    """In required mode the token must be valid and sent once; in optional mode no token, whatever it is, matters."""
    at = handler(ready.refreshers, ready.clock, required=required)
    token = new_token(at, b"180")
    role = ROLES + b"/default"

    assert request(at, role, (TOKEN, token)).response.status == 200
    assert request(at, ROLES, (TOKEN, token)).response.status == 200
    assert request(at, role).response.status == status
    assert request(at, role, (TOKEN, b"")).response.status == status
    assert request(at, role, (TOKEN, token[:-1] + b"A")).response.status == status
    assert request(at, role, (TOKEN, token), (TOKEN, token)).response.status == status
    ready.clock.skip(180)
    assert request(at, role, (TOKEN, token)).response.status == status


def test_token_of_another_instance(clock: Clock) -> None:
    """A token of another key, or with any byte changed, is invalid."""
    ours, theirs = SessionTokens(b"a" * 32, clock.time), SessionTokens(b"b" * 32, clock.time)
    token = ours.issue(60)
    changed = [token[:at] + bytes([token[at] ^ 1]) + token[at + 1 :] for at in range(len(token))]

    assert ours.expiry(token) == clock.time() + 60
    assert theirs.expiry(token) is None
    assert not any(ours.expiry(item) for item in [*changed, token + b"=", token[:-1], b"", b"\xff\xfe"])


def test_token_from_before_a_reboot(clock: Clock) -> None:
    """After a reboot that set the clock back, a token with more life than the maximum is invalid."""
    before, boot_time = SessionTokens(b"k" * 32, clock.time), clock.time() - 50_000
    after = SessionTokens(b"x" * 32, lambda: boot_time)
    after.replace_key(b"k" * 32)

    assert after.expiry(before.issue(21_600)) is None
    assert after.expiry(after.issue(21_600)) is not None


async def test_metadata_listener_serves_nothing_else(ready: Offline) -> None:
    """The metadata listener serves the ECS paths, and every other path is 404."""
    at = handler(ready.refreshers, ready.clock, metadata_only=True)

    assert request(at, ROLES + b"/default").response.status == 200
    assert [request(at, path).response.status for path in (b"/credentials", b"/healthz", b"/")] == [404, 404, 404]


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
        (b"/latest/meta-data/tags/instance/", b"team"),
        (b"/latest/meta-data/tags/instance", b"team"),
        (b"/latest/meta-data/tags/", b"instance/"),
        (b"/latest/meta-data/ram/", b"security-credentials/"),
        (b"/latest/meta-data/ram", b"security-credentials/"),
        (b"/2016-01-01/meta-data/region-id", b"cn-hangzhou"),
        (b"/2016-01-01/meta-data/", b"instance-id\nram/\nregion-id\ntags/\nvpc-id"),
        (b"/2016-1-1/meta-data/region-id", None),
        (b"/x/2016-01-01/meta-data/region-id", None),
        (b"/latest/user-data", None),
    ],
)
@pytest.mark.parametrize("metadata_only", [False, True])
async def test_metadata_values(ready: Offline, path: bytes, answer: bytes | None, metadata_only: bool) -> None:
    """Only configured metadata values are served, as text without a final newline."""
    at = handler(ready.refreshers, ready.clock, metadata_only=metadata_only, values=VALUES)
    response = request(at, path).response

    assert (response.status, response.body) == ((200, answer) if answer is not None else (404, NOT_FOUND.body))
    assert request(at, path, method=b"PUT").response.status == (405 if answer is not None else 404)


async def test_metadata_values_need_tokens_too(ready: Offline) -> None:
    """Required mode and the path token apply to metadata values too."""
    hardened = handler(ready.refreshers, ready.clock, required=True, values=VALUES)
    hidden = handler(ready.refreshers, ready.clock, path_token=PATH_TOKEN, values=VALUES)
    token = new_token(hardened)

    assert request(hardened, b"/latest/meta-data/vpc-id").response.status == 401
    assert request(hardened, b"/latest/meta-data/vpc-id", (TOKEN, token)).response.status == 200
    assert request(hidden, b"/latest/meta-data/vpc-id").response.status == 403


@pytest.mark.parametrize(
    ("passed", "outage", "expected"), [(1740, False, False), (1741, False, True), (1741, True, False)]
)
async def test_short_lifetime_in_an_outage_is_no_violation(
    passed: float, outage: bool, expected: bool, ready: Offline, clock: Clock
) -> None:
    """Less than 1860 s left is a violation only while the cloud answers: the promise does not cover an outage."""
    if outage:
        ready.emulator.faults.add(Fault("*", status=503, times=None))
        await clock.advance(1500)
        passed -= 1500
    clock.skip(passed)

    assert request(ready.handler, b"/credentials").below_horizon is expected


async def test_read_below_the_horizon_is_counted(ready: Offline, clock: Clock) -> None:
    """A session with less life than promised, although the last refresh succeeded, is marked as a violation."""
    assert request(ready.handler, b"/credentials").below_horizon is False

    clock.skip(1800)

    assert request(ready.handler, b"/credentials").below_horizon is True
