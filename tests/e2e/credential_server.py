"""A small server of the two protocols, independent of the sidecar. It is correct until a test changes a part."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from .fault_proxy import read_request
from .processes import DEADLINE

ROLES = "/latest/meta-data/ram/security-credentials"
TOKEN_HEADER, TTL_HEADER = "x-aliyun-ecs-metadata-token", "x-aliyun-ecs-metadata-token-ttl-seconds"
TOKEN = "METATOKEN-123456=="
KEYS = {"AccessKeyId": "STS.hush-id", "AccessKeySecret": "hush-secret", "SecurityToken": "hush-token"}


def timestamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


@dataclass(frozen=True)
class ReceivedRequest:
    """A parsed request. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]

    @classmethod
    def parse(cls, raw: bytes) -> ReceivedRequest:
        first, *lines = raw.decode("latin-1").partition("\r\n\r\n")[0].split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return cls(method, target.partition("?")[0], headers)

    @property
    def host(self) -> str:
        host = self.headers.get("host", "")
        return host if host.endswith("]") else host.rpartition(":")[0] or host


@dataclass(frozen=True)
class ServerResponse:
    """A response to send."""

    status: int
    body: bytes
    headers: tuple[str, ...] = ("Content-Type: application/json", "Cache-Control: no-store")
    chunked: bool = False

    def raw(self, head_only: bool) -> bytes:
        framing = "Transfer-Encoding: chunked" if self.chunked else f"Content-Length: {len(self.body)}"
        head = "\r\n".join((f"HTTP/1.1 {self.status} Whatever", *self.headers, framing, "Connection: close", "", ""))
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(self.body), self.body) if self.chunked else self.body
        return head.encode() + (b"" if head_only else body)


def error(status: int, code: str) -> ServerResponse:
    return ServerResponse(status, json.dumps({"Code": code, "Message": "no"}).encode())


@dataclass
class CredentialServer:
    """A correct server. Subclasses override a part to put a fault in. `port` is set when the server listens."""

    port: int = 0
    requests: list[ReceivedRequest] = field(default_factory=list)

    def members(self) -> dict[str, object]:
        now = time.time()
        return {
            "Code": "Success",
            "StatusCode": "200",
            **KEYS,
            "Expiration": timestamp(now + 3600),
            "LastUpdated": timestamp(now),
        }

    def credentials(self) -> ServerResponse:
        return ServerResponse(200, json.dumps(self.members(), separators=(",", ":")).encode())

    def token(self) -> ServerResponse:
        return ServerResponse(200, TOKEN.encode(), ("Content-Type: text/plain",))

    def roles(self) -> ServerResponse:
        return ServerResponse(200, b"the-role", ("Content-Type: text/plain",))

    def accepts_host(self, request: ReceivedRequest) -> bool:
        return request.host in ("127.0.0.1", "localhost", "[::1]", "100.100.100.200")

    def uri(self, request: ReceivedRequest) -> ServerResponse:
        return self.credentials() if request.method == "GET" else error(405, "MethodNotAllowed")

    def respond(self, request: ReceivedRequest) -> ServerResponse:
        if not self.accepts_host(request) or "x-forwarded-for" in request.headers or not request.path.startswith("/"):
            return error(403, "AccessDenied")
        if request.path.removesuffix("/").endswith("/credentials"):
            return self.uri(request)
        if request.path == "/latest/api/token":
            return self.token() if request.method == "PUT" else error(405, "MethodNotAllowed")
        return self.metadata(request)

    def metadata(self, request: ReceivedRequest) -> ServerResponse:
        if request.headers.get(TOKEN_HEADER, TOKEN) != TOKEN:
            return error(401, "AccessDenied")
        if request.path in ("/latest/meta-data/region-id", "/latest/meta-data/vpc-id"):
            return ServerResponse(200, b"somewhere", ("Content-Type: text/plain",))
        path = request.path[: len(ROLES)].lower() + request.path[len(ROLES) :]
        if path in (ROLES, f"{ROLES}/"):
            return self.roles()
        return self.credentials() if path == f"{ROLES}/the-role" else error(404, "NotFound")


@contextmanager
def listening(server: CredentialServer, at: tuple[str, int] = ("127.0.0.1", 0)) -> Iterator[str]:
    """Run the server at the address and yield its base URL. Port 0: a free port."""
    with socket.create_server(at) as listener:
        host, server.port = listener.getsockname()
        thread = threading.Thread(target=_accept, args=(listener, server), daemon=True)
        thread.start()
        try:
            yield f"http://{host}:{server.port}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(DEADLINE)


def _accept(listener: socket.socket, server: CredentialServer) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, contextlib.suppress(OSError):
            raw = read_request(connection)
            if not raw:
                continue  # the client has only looked whether the server listens
            request = ReceivedRequest.parse(raw)
            server.requests.append(request)
            connection.sendall(server.respond(request).raw(request.method == "HEAD"))


class Fractional(CredentialServer):
    """A server with milliseconds in its timestamps and an additional, nested member."""

    def members(self) -> dict[str, object]:
        found = super().members()
        times = {name: str(found[name])[:-1] + ".123Z" for name in ("Expiration", "LastUpdated")}
        return found | times | {"AssumedRoleUser": {"RoleArn": "acs:ram::1:role/x", "AssumedRoleId": "1"}}


class FrameworkDefaults(CredentialServer):
    """A server with a framework's defaults: chunked responses, a line end after the role, and no route for PUT."""

    def respond(self, request: ReceivedRequest) -> ServerResponse:
        return replace(super().respond(request), chunked=True)

    def token(self) -> ServerResponse:
        return error(405, "MethodNotAllowed")

    def roles(self) -> ServerResponse:
        return ServerResponse(200, b"the-role\n", ("Content-Type: text/plain",))


class Careless(CredentialServer):
    """A server that compares Host with its port, redirects for a slash, and serves its first session for ever."""

    def accepts_host(self, request: ReceivedRequest) -> bool:
        return request.headers.get("host") in (f"127.0.0.1:{self.port}", "100.100.100.200")

    def uri(self, request: ReceivedRequest) -> ServerResponse:
        if request.path.endswith("/"):
            return ServerResponse(307, b"", ("Content-Type: text/plain", "Location: /credentials"))
        return super().uri(request)

    def members(self) -> dict[str, object]:
        now = time.time()
        return super().members() | {"Expiration": timestamp(now - 600), "LastUpdated": timestamp(now - 4200)}
