"""The requests of each ECS metadata client, as captured or read in its source, and its reaction to odd responses."""

from __future__ import annotations

import pytest

from app.conformance.models.client import Verdict
from app.conformance.models.ecs_clients import ECS_CLIENTS
from app.conformance.probe.context import Context
from app.conformance.probe.ecs_sequence import run_ecs_client
from app.conformance.wire.metadata import METADATA_HOST
from app.conformance.wire.request import Request
from app.conformance.wire.response import Outcome, Response
from app.core.formats import error_document, uri_document
from app.core.values import Credentials

NOW = 1_767_323_045.0
BODY = uri_document(Credentials("STS.key", "secret", "token", issued_at=NOW, expires_at=NOW + 3600))
CLIENTS = {client.name: client for client in ECS_CLIENTS}
ROLES = "/latest/meta-data/ram/security-credentials/"


class Metadata:
    """
    A metadata service.

    `put` is the status of the token path. `token` is the token that it issues and accepts; None: it accepts none.
    `redirect` is the Location of its role. `missing` is a path that it does not serve.
    """

    def __init__(
        self,
        *,
        put: int = 200,
        token: str | None = "TOKEN1==",
        role: str = "my-role",
        redirect: str = "",
        missing: str = "",
    ) -> None:
        self._missing = missing
        self._put = put
        self._token = token
        self._role = role
        self._redirect = redirect
        self.requests: list[Request] = []

    def __call__(self, request: Request, _purpose: str) -> Outcome:
        self.requests.append(request)
        if request.method == "PUT":
            issued = (self._token or "").encode()
            return make_response(self._put, issued if self._put == 200 else error_document("No", "no"))
        sent = header(request, "X-aliyun-ecs-metadata-token")
        if sent is not None and sent != self._token:
            return make_response(401, error_document("AccessDenied", "no"))
        path = request.target.partition("?")[0]
        if path == self._missing:
            return make_response(404, error_document("NotFound", "no"))
        if path == ROLES:
            return make_response(200, self._role.encode())
        if self._redirect and path == f"{ROLES}my-role":
            return Response(302, (("location", self._redirect),), b"")
        return make_response(200, BODY)

    def lines(self) -> list[str]:
        """Return one line for each request."""
        return [line_of(request) for request in self.requests]


def make_response(status: int, body: bytes) -> Response:
    return Response(status, (("content-type", "text/plain"),), body)


def header(request: Request, name: str) -> str | None:
    """Return the value of a header, None if the request does not have it."""
    pairs = (line.partition(": ") for line in request.lines)
    return next((value for key, _, value in pairs if key.lower() == name.lower()), None)


def line_of(request: Request) -> str:
    """Describe a request in one line: method, path, TTL, Content-Length, and whether it has a token."""
    ttl = header(request, "X-aliyun-ecs-metadata-token-ttl-seconds")
    token = header(request, "X-aliyun-ecs-metadata-token")
    length = header(request, "Content-Length")
    return " ".join(
        (
            request.method,
            request.target.removeprefix("/latest/meta-data"),
            *([f"ttl={ttl}"] if ttl else []),
            *([f"length={length}"] if length else []),
            *(["token"] if token else []),
        )
    )


def run(client: str, metadata: Metadata) -> Verdict:
    """Run the model of a client against the metadata service."""
    return run_ecs_client(CLIENTS[client], Context(metadata, NOW, 3600, 3600, "my-role"))


PUT = "PUT /latest/api/token ttl=21600 length=0"
LIST, ROLE = "GET /ram/security-credentials/", "GET /ram/security-credentials/my-role"
WITH_TOKENS = [PUT, f"{LIST} token", PUT, f"{ROLE} token"]


@pytest.mark.parametrize(
    ("client", "lines"),
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
        ("credentials-python", WITH_TOKENS),
        ("credentials-nodejs", WITH_TOKENS),
        ("credentials-php", WITH_TOKENS),
        ("credentials-csharp", WITH_TOKENS),
        ("alibabacloud legacy core for .NET", WITH_TOKENS),
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
        (
            "LoongCollector",
            [
                "PUT /latest/api/token ttl=3600 length=0",
                f"{LIST} token",
                f"{ROLE} token",
                "GET /latest/dynamic/instance-identity/document token",
            ],
        ),
        ("ack-ram-tool", ["PUT /latest/api/token ttl=3600 length=0", f"{LIST} token", f"{ROLE} token"]),
        ("ecctl", [PUT, f"{LIST} token", f"{ROLE} token"]),
        ("SLS Go", [ROLE]),
        ("SLS Java ECSRoleCredentialsProvider", [ROLE]),
        ("aliyungo (external-dns)", [LIST, ROLE, "GET /region-id", "GET /vpc-id"]),
        ("aliyungo of 2018 (Debian)", [LIST, "GET /Ram/security-credentials/my-role"]),
    ],
)
def test_requests(client: str, lines: list[str]) -> None:
    """Each client sends its requests in order, with its TTL, its Content-Length and its spelling of the path."""
    metadata = Metadata()

    verdict = run(client, metadata)

    assert metadata.lines() == lines
    assert {request.host for request in metadata.requests} == {METADATA_HOST}
    assert verdict.state == "works"


@pytest.mark.parametrize(
    ("client", "path"),
    [
        ("LoongCollector", "/latest/dynamic/instance-identity/document"),
        ("aliyungo (external-dns)", "/latest/meta-data/vpc-id"),
    ],
)
def test_program_that_needs_more_metadata(client: str, path: str) -> None:
    """Without the metadata that the program needs besides credentials, it is excluded, with the missing path."""
    verdict = run(client, Metadata(missing=path))

    assert (verdict.state, verdict.remarks) == ("excluded", (f"needs {path}, which the server does not serve",))
    assert run(client, Metadata()).state == "works"


@pytest.mark.parametrize("put", [403, 404, 405, 500])
@pytest.mark.parametrize("client", ["credentials-go", "credentials-python", "credentials-nodejs", "credentials-java"])
def test_clients_that_work_without_tokens(client: str, put: int) -> None:
    """Go, Python, Node and Java continue without a token after each of these statuses (run with the real clients)."""
    metadata = Metadata(put=put)

    assert run(client, metadata).state == "works"
    assert not [line for line in metadata.lines() if line.endswith(" token")]


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
def test_clients_that_need_a_certain_status(client: str, put: int, state: str) -> None:
    """ack-ram-tool tolerates only 403 and 404, ossfs v1 sleeps on 500 and 503, LoongCollector takes any body."""
    assert run(client, Metadata(put=put)).state == state


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
def test_retry_without_a_token(client: str, state: str) -> None:
    """Python, Node and Java send the GET again without the token if the server rejects it. Go and PHP do not."""
    issuer, other_server = Metadata(), Metadata(token="ANOTHER")

    def send(request: Request, purpose: str) -> Outcome:
        return issuer(request, purpose) if request.method == "PUT" else other_server(request, purpose)

    assert run_ecs_client(CLIENTS[client], Context(send, NOW, role="my-role")).state == state


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
def test_a_line_end_after_the_token(client: str, state: str) -> None:
    """Such a token is an illegal header. Python and Node leave it out (run), ack-ram-tool strips it, others fail."""
    metadata = Metadata(token="TOKEN1==\n")

    def send(request: Request, purpose: str) -> Outcome:
        lines = tuple(line for line in request.lines if not line.endswith(" TOKEN1=="))
        return metadata(Request(request.target, request.host, lines, request.method), purpose)

    assert run_ecs_client(CLIENTS[client], Context(send, NOW, role="my-role")).state == state


@pytest.mark.parametrize(
    ("role", "working"),
    [
        ("my-role\n", {"credentials-go", "credentials-nodejs", "ack-ram-tool", "ecctl", "ossfs v1"}),
        ("my-role\nother", {"ossfs v1"}),
        ("", set()),
    ],
)
def test_role_lists(role: str, working: set[str]) -> None:
    """A line end after the role is accepted by clients that strip it or read the first line, and by no others."""
    listing = [client.name for client in ECS_CLIENTS if client.lists_roles]
    works = {client for client in listing if run(client, Metadata(role=role)).state == "works"}

    assert works & {"credentials-go", "credentials-nodejs", "ack-ram-tool", "ecctl", "ossfs v1"} == working
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
    ("location", "requests", "state"),
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
def test_redirects_stay_at_the_server(location: str, requests: int, state: str) -> None:
    """One redirect is followed for clients that follow redirects, and only to the same server."""
    metadata = Metadata(redirect=location)

    assert run("credentials-go", metadata).state == state
    assert len(metadata.requests) == requests
