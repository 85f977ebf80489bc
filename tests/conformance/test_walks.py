"""Each client's way, request by request, as it was captured or as its source says; and what it makes of odd answers."""

from __future__ import annotations

import pytest

from app.conformance.models.client import Verdict
from app.conformance.models.ecs_clients import ECS_CLIENTS
from app.conformance.probe.walk import Scene, walk_ecs
from app.conformance.wire.address import METADATA_HOST, Ask
from app.conformance.wire.answer import Answer, Reply
from app.core.formats import error_document, uri_document
from app.core.values import Credentials

NOW = 1_767_323_045.0
BODY = uri_document(Credentials("STS.key", "secret", "token", issued_at=NOW, expires_at=NOW + 3600))
CLIENTS = {client.name: client for client in ECS_CLIENTS}
ROLES = "/latest/meta-data/ram/security-credentials/"


class Metadata:
    """A metadata service as a table: `put` answers the token path; `good` is its token, or None: it knows none."""

    def __init__(
        self, *, put: int = 200, good: str | None = "TOKEN1==", role: str = "my-role", redirect: str = ""
    ) -> None:
        self._put = put
        self._good = good
        self._role = role
        self._redirect = redirect
        self.asked: list[Ask] = []

    def __call__(self, ask: Ask, _turn: str) -> Reply:
        self.asked.append(ask)
        if ask.method == "PUT":
            return answer(self._put, (self._good or "").encode() if self._put == 200 else error_document("No", "no"))
        sent = header(ask, "X-aliyun-ecs-metadata-token")
        if sent is not None and sent != self._good:
            return answer(401, error_document("AccessDenied", "no"))
        path = ask.target.partition("?")[0]
        if path == ROLES:
            return answer(200, self._role.encode())
        if self._redirect and path == f"{ROLES}my-role":
            return Answer(302, (("location", self._redirect),), b"")
        return answer(200, BODY)

    def steps(self) -> list[str]:
        """What was asked, in a line for each request."""
        return [step(ask) for ask in self.asked]


def answer(status: int, body: bytes) -> Answer:
    return Answer(status, (("content-type", "text/plain"),), body)


def header(ask: Ask, name: str) -> str | None:
    pairs = (line.partition(": ") for line in ask.lines)
    return next((value for key, _, value in pairs if key.lower() == name.lower()), None)


def step(ask: Ask) -> str:
    ttl, token = header(ask, "X-aliyun-ecs-metadata-token-ttl-seconds"), header(ask, "X-aliyun-ecs-metadata-token")
    length = header(ask, "Content-Length")
    return " ".join(
        (
            ask.method,
            ask.target.removeprefix("/latest/meta-data"),
            *([f"ttl={ttl}"] if ttl else []),
            *([f"length={length}"] if length else []),
            *(["token"] if token else []),
        )
    )


def walked(client: str, metadata: Metadata) -> Verdict:
    return walk_ecs(CLIENTS[client], Scene(metadata, NOW, 3600, 3600, "my-role"))


PUT = "PUT /latest/api/token ttl=21600 length=0"
LIST, ROLE = "GET /ram/security-credentials/", "GET /ram/security-credentials/my-role"
BY_TOKEN = [PUT, f"{LIST} token", PUT, f"{ROLE} token"]


@pytest.mark.parametrize(
    ("client", "steps"),
    [
        (
            "credentials-go",
            [
                "PUT /latest/api/token? ttl=21600 length=0",
                f"{LIST}? token",
                "PUT /latest/api/token? ttl=21600 length=0",
                f"{ROLE}? token",
            ],
        ),
        (
            "credentials-java",
            ["PUT /latest/api/token ttl=21600", f"{LIST} token", "PUT /latest/api/token ttl=21600", f"{ROLE} token"],
        ),
        ("credentials-python", BY_TOKEN),
        ("credentials-nodejs", BY_TOKEN),
        ("credentials-php", BY_TOKEN),
        ("credentials-csharp", BY_TOKEN),
        ("alibabacloud legacy core for .NET", BY_TOKEN),
        ("credentials-cpp", [LIST, ROLE]),
        ("credentials-swift", [LIST, ROLE]),
        ("alibabacloud legacy core for C++", [ROLE]),
        ("aliyun-python-sdk-core", [ROLE]),
        ("alibaba-cloud-sdk-go EcsRamRoleSigner", [ROLE]),
        ("OSS Go v2", [LIST, ROLE]),
        ("OSS Java InstanceProfileCredentialsProvider", [ROLE]),
        ("ossutil v1", ["GET /Ram/security-credentials/my-role"]),
        ("JindoSDK", ["GET /Ram/Security-credentials/my-role"]),
        (
            "ossfs v1",
            [
                "PUT /latest/api/token ttl=180 length=0",
                f"{LIST} token",
                "PUT /latest/api/token ttl=180 length=0",
                f"{ROLE} token",
            ],
        ),
        ("ossfs2", ["PUT /latest/api/token ttl=180 length=0", f"{ROLE} token"]),
        ("LoongCollector", ["PUT /latest/api/token ttl=3600 length=0", f"{LIST} token", f"{ROLE} token"]),
        ("ack-ram-tool", ["PUT /latest/api/token ttl=3600 length=0", f"{LIST} token", f"{ROLE} token"]),
        ("ecctl", [PUT, f"{LIST} token", f"{ROLE} token"]),
        ("SLS Go", [ROLE]),
        ("SLS Java ECSRoleCredentialsProvider", [ROLE]),
        ("aliyungo (external-dns)", [LIST, ROLE]),
        ("aliyungo of 2018 (Debian)", [LIST, "GET /Ram/security-credentials/my-role"]),
    ],
)
def test_what_is_asked(client: str, steps: list[str]) -> None:
    """The requests in their order, with the token's TTL, the body's length and the path's case."""
    metadata = Metadata()

    verdict = walked(client, metadata)

    assert metadata.steps() == steps
    assert {ask.host for ask in metadata.asked} == {METADATA_HOST}
    assert verdict.state == "works"


@pytest.mark.parametrize("put", [403, 404, 405, 500])
@pytest.mark.parametrize("client", ["credentials-go", "credentials-python", "credentials-nodejs", "credentials-java"])
def test_no_token_is_no_matter(client: str, put: int) -> None:
    """Go, Python, Node and Java go on without a token, whatever the token path answers (run with these statuses)."""
    metadata = Metadata(put=put)

    assert walked(client, metadata).state == "works"
    assert not [line for line in metadata.steps() if line.endswith(" token")]


@pytest.mark.parametrize(
    ("client", "put", "state"),
    [
        ("ack-ram-tool", 403, "works"),
        ("ack-ram-tool", 404, "works"),
        ("ack-ram-tool", 405, "fails"),
        ("ack-ram-tool", 500, "fails"),
        ("ossfs v1", 405, "works"),
        ("ossfs v1", 500, "fails"),
        ("ossfs v1", 503, "fails"),
        ("ossfs2", 500, "works"),
        ("LoongCollector", 404, "fails"),
    ],
)
def test_who_minds_the_token_path(client: str, put: int, state: str) -> None:
    """ack-ram-tool tolerates 403 and 404 alone, ossfs v1 sleeps on 500 and 503, LoongCollector takes any body."""
    assert walked(client, Metadata(put=put)).state == state


@pytest.mark.parametrize(
    ("client", "state"),
    [
        ("credentials-python", "works"),
        ("credentials-nodejs", "works"),
        ("credentials-java", "works"),
        ("credentials-go", "fails"),
        ("credentials-php", "fails"),
    ],
)
def test_who_repeats_without_a_token(client: str, state: str) -> None:
    """Python, Node and Java ask again without a token where theirs is refused."""
    metadata = Metadata()
    metadata_of_another = Metadata(good="ANOTHER")

    def split(ask: Ask, turn: str) -> Reply:
        return metadata(ask, turn) if ask.method == "PUT" else metadata_of_another(ask, turn)

    assert walk_ecs(CLIENTS[client], Scene(split, NOW, role="my-role")).state == state


@pytest.mark.parametrize(
    ("client", "state"),
    [
        ("credentials-python", "works"),
        ("credentials-nodejs", "works"),
        ("credentials-go", "fails"),
        ("ossfs2", "fails"),
        ("ack-ram-tool", "works"),
    ],
)
def test_a_line_end_behind_the_token(client: str, state: str) -> None:
    """It makes an illegal header: Python and Node go on without (run), ack-ram-tool trims, the others fail."""
    metadata = Metadata(good="TOKEN1==\n")

    def trimmed(ask: Ask, turn: str) -> Reply:
        lines = tuple(line for line in ask.lines if not line.endswith(" TOKEN1=="))
        return metadata(Ask(ask.target, ask.host, lines, ask.method), turn)

    assert walk_ecs(CLIENTS[client], Scene(trimmed, NOW, role="my-role")).state == state


@pytest.mark.parametrize(
    ("role", "fine"),
    [
        ("my-role\n", {"credentials-go", "credentials-nodejs", "ack-ram-tool", "ecctl", "ossfs v1"}),
        ("my-role\nother", {"ossfs v1"}),
        ("", set()),
    ],
)
def test_role_lists(role: str, fine: set[str]) -> None:
    """Who trims and who takes the first line can have a line end behind the role; who takes it raw cannot."""
    looked = [client.name for client in ECS_CLIENTS if client.lists]
    works = {client for client in looked if walked(client, Metadata(role=role)).state == "works"}

    assert works & {"credentials-go", "credentials-nodejs", "ack-ram-tool", "ecctl", "ossfs v1"} == fine
    assert not works & {
        "credentials-python",
        "credentials-java",
        "credentials-php",
        "credentials-csharp",
        "credentials-cpp",
        "OSS Go v2",
        "LoongCollector",
    }


@pytest.mark.parametrize(
    ("location", "asked", "state"),
    [
        (f"{ROLES}elsewhere", 5, "works"),
        (f"http://{METADATA_HOST}{ROLES}elsewhere", 5, "works"),
        ("http://evil.example/", 4, "fails"),
        ("//evil.example/", 4, "fails"),
        ("//[", 4, "fails"),
        ("/a b", 4, "fails"),
        (f"https://{METADATA_HOST}{ROLES}elsewhere", 4, "fails"),
    ],
)
def test_redirects_stay_at_the_server(location: str, asked: int, state: str) -> None:
    """Who follows redirects is followed one step, at the same server and nowhere else."""
    metadata = Metadata(redirect=location)

    assert walked("credentials-go", metadata).state == state
    assert len(metadata.asked) == asked
