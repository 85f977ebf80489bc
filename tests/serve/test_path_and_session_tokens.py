"""The path token and the session tokens of the ECS metadata paths, at the credential handler."""

from __future__ import annotations

import pytest

from app.serve.ecs_metadata import MetadataValues, SessionTokens, ttl_of
from app.serve.handlers.credentials import CredentialHandler
from app.serve.responses import NOT_FOUND

from ..clock import Clock
from ..conftest import Offline, handler
from .credential_requests import PATH_TOKEN, ROLES, code, request


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
