"""A small server of the two protocols, not ours: right in everything until a test makes it wrong."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from .liar import whole_request

ROLES = "/latest/meta-data/ram/security-credentials"
TOKEN_HEADER, TTL_HEADER = "x-aliyun-ecs-metadata-token", "x-aliyun-ecs-metadata-token-ttl-seconds"
TOKEN = "METATOKEN-123456=="
KEYS = {"AccessKeyId": "STS.hush-id", "AccessKeySecret": "hush-secret", "SecurityToken": "hush-token"}


def text(instant: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(instant))


@dataclass(frozen=True)
class Asked:
    """A request taken apart; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]

    @classmethod
    def of(cls, raw: bytes) -> Asked:
        first, *lines = raw.decode("latin-1").partition("\r\n\r\n")[0].split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return cls(method, target.partition("?")[0], headers)

    @property
    def host(self) -> str:
        host = self.headers.get("host", "")
        return host if host.endswith("]") else host.rpartition(":")[0] or host


@dataclass(frozen=True)
class Given:
    """An answer to be."""

    status: int
    body: bytes
    headers: tuple[str, ...] = ("Content-Type: application/json", "Cache-Control: no-store")
    chunked: bool = False

    def raw(self, head_only: bool) -> bytes:
        framing = "Transfer-Encoding: chunked" if self.chunked else f"Content-Length: {len(self.body)}"
        head = "\r\n".join((f"HTTP/1.1 {self.status} Whatever", *self.headers, framing, "Connection: close", "", ""))
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(self.body), self.body) if self.chunked else self.body
        return head.encode() + (b"" if head_only else body)


def error(status: int, code: str) -> Given:
    return Given(status, json.dumps({"Code": code, "Message": "no"}).encode())


@dataclass
class CredentialServer:
    """Answers by `answer`; whoever wants it wrong overrides a part. `port` is known once it listens."""

    port: int = 0
    requests: list[Asked] = field(default_factory=list)

    def members(self) -> dict[str, object]:
        now = time.time()
        return {
            "Code": "Success",
            "StatusCode": "200",
            **KEYS,
            "Expiration": text(now + 3600),
            "LastUpdated": text(now),
        }

    def credentials(self) -> Given:
        return Given(200, json.dumps(self.members(), separators=(",", ":")).encode())

    def token(self) -> Given:
        return Given(200, TOKEN.encode(), ("Content-Type: text/plain",))

    def roles(self) -> Given:
        return Given(200, b"the-role", ("Content-Type: text/plain",))

    def knows(self, asked: Asked) -> bool:
        return asked.host in ("127.0.0.1", "localhost", "[::1]", "100.100.100.200")

    def uri(self, asked: Asked) -> Given:
        return self.credentials() if asked.method == "GET" else error(405, "MethodNotAllowed")

    def answer(self, asked: Asked) -> Given:
        if not self.knows(asked) or "x-forwarded-for" in asked.headers or not asked.path.startswith("/"):
            return error(403, "AccessDenied")
        if asked.path.removesuffix("/").endswith("/credentials"):
            return self.uri(asked)
        if asked.path == "/latest/api/token":
            return self.token() if asked.method == "PUT" else error(405, "MethodNotAllowed")
        return self.metadata(asked)

    def metadata(self, asked: Asked) -> Given:
        if asked.headers.get(TOKEN_HEADER, TOKEN) != TOKEN:
            return error(401, "AccessDenied")
        if asked.path in ("/latest/meta-data/region-id", "/latest/meta-data/vpc-id"):
            return Given(200, b"somewhere", ("Content-Type: text/plain",))
        path = asked.path[: len(ROLES)].lower() + asked.path[len(ROLES) :]
        if path in (ROLES, f"{ROLES}/"):
            return self.roles()
        return self.credentials() if path == f"{ROLES}/the-role" else error(404, "NotFound")


@contextmanager
def listening(server: CredentialServer, at: tuple[str, int] = ("127.0.0.1", 0)) -> Iterator[str]:
    """The server at that address, of port 0: at a free one; its base URL."""
    with socket.create_server(at) as listener:
        host, server.port = listener.getsockname()
        threading.Thread(target=_accept, args=(listener, server), daemon=True).start()
        try:
            yield f"http://{host}:{server.port}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, server: CredentialServer) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection, contextlib.suppress(OSError):
            asked = Asked.of(whole_request(connection))
            server.requests.append(asked)
            connection.sendall(server.answer(asked).raw(asked.method == "HEAD"))


class Fractional(CredentialServer):
    """Milliseconds in its times, and more in its answer than clients know."""

    def members(self) -> dict[str, object]:
        found = super().members()
        times = {name: str(found[name])[:-1] + ".123Z" for name in ("Expiration", "LastUpdated")}
        return found | times | {"AssumedRoleUser": {"RoleArn": "acs:ram::1:role/x", "AssumedRoleId": "1"}}


class Streaming(CredentialServer):
    """A framework's defaults: chunked answers, print with its line end, a route for GET alone."""

    def answer(self, asked: Asked) -> Given:
        return replace(super().answer(asked), chunked=True)

    def token(self) -> Given:
        return error(405, "MethodNotAllowed")

    def roles(self) -> Given:
        return Given(200, b"the-role\n", ("Content-Type: text/plain",))


class Careless(CredentialServer):
    """Host compared as a whole, a redirect for the slash, and what it once got, for ever."""

    def knows(self, asked: Asked) -> bool:
        return asked.headers.get("host") in (f"127.0.0.1:{self.port}", "100.100.100.200")

    def uri(self, asked: Asked) -> Given:
        if asked.path.endswith("/"):
            return Given(307, b"", ("Content-Type: text/plain", "Location: /credentials"))
        return super().uri(asked)

    def members(self) -> dict[str, object]:
        now = time.time()
        return super().members() | {"Expiration": text(now - 600), "LastUpdated": text(now - 4200)}
