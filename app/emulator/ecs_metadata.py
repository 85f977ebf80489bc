"""The ECS metadata service: session tokens, the instance identity document, the credentials of the instance's role."""

import json
from collections.abc import Callable, Mapping

from .crypto.pkcs7 import sign
from .crypto.pki import Authority
from .http.request import Request
from .http.response import RefusedError, Response, json_response
from .sts.issued_sessions import IssuedSessions
from .sts.session import timestamp
from .world.world import ACCOUNT, ECS_ROLE, INSTANCE

PREFIX = "/latest/"
MAX_TTL = 21_600
"""The maximum lifetime of a session token, in seconds."""

_TTL_HEADER, _TOKEN_HEADER = "x-aliyun-ecs-metadata-token-ttl-seconds", "x-aliyun-ecs-metadata-token"
_ROLES = "/latest/meta-data/ram/security-credentials/"
_PROXY_HEADERS = ("via", "x-forwarded-for", "forwarded")

IDENTITY_DOCUMENT = {
    "owner-account-id": ACCOUNT,
    "instance-id": INSTANCE,
    "region-id": "cn-hangzhou",
    "zone-id": "cn-hangzhou-i",
    "serial-number": "00000000-0000-0000-0000-000000000000",
    "mac": "00:16:3e:00:00:00",
    "instance-type": "ecs.g7.large",
    "image-id": "debian_12",
    "private-ipv4": "192.168.0.10",
}


class EcsMetadata:
    """
    The ECS metadata service of one instance.

    As in the real service, values are plain text, and an error is an HTTP status. Clients cannot rely on the body of an
    error.
    """

    def __init__(self, authority: Authority, sessions: IssuedSessions, random: Callable[[int], bytes]) -> None:
        self._authority = authority
        self._sessions = sessions
        self._random = random
        self._token_expiry: dict[str, float] = {}

    def respond(self, request: Request) -> Response:
        """Return the response for the request's path. Raises `RefusedError`."""
        if any(header in request.headers for header in _PROXY_HEADERS):
            raise RefusedError("Forbidden", "requests through a proxy are not allowed", 403)
        path = request.path
        if path == "/latest/api/token":
            return self._new_token(request)
        self._check_token(request)
        documents: dict[str, Callable[[], Response]] = {
            "/latest/dynamic/instance-identity/document": lambda: json_response(IDENTITY_DOCUMENT),
            "/latest/dynamic/instance-identity/pkcs7": lambda: _text_response(self._signed_document(request)),
            "/latest/meta-data/instance-id": lambda: _text_response(INSTANCE),
            "/latest/meta-data/region-id": lambda: _text_response(IDENTITY_DOCUMENT["region-id"]),
            _ROLES: lambda: _text_response(ECS_ROLE),
            _ROLES + ECS_ROLE: lambda: json_response(self._credentials(request)),
        }
        if path not in documents or request.method != "GET":
            raise RefusedError("NotFound", "this path does not exist", 404)
        return documents[path]()

    def error_response(self, request: Request, error: RefusedError) -> Response:
        """Return an error page."""
        return Response(error.status or 500, error.message.encode(), error.code, "text/html")

    def _new_token(self, request: Request) -> Response:
        ttl = request.headers.get(_TTL_HEADER, "")
        if request.method != "PUT" or not ttl.isdigit() or not 1 <= int(ttl) <= MAX_TTL:
            raise RefusedError("BadRequest", f"send PUT with a TTL of 1 to {MAX_TTL} seconds", 400)
        token = self._random(32).hex()
        self._token_expiry[token] = request.now + int(ttl)
        return _text_response(token)

    def _check_token(self, request: Request) -> None:
        token = request.headers.get(_TOKEN_HEADER)
        if token is None and not request.world.metadata_tokens_required:
            return
        if request.now >= self._token_expiry.get(token or "", 0):
            raise RefusedError("Forbidden", "the session token is missing, unknown or expired", 403)

    def _signed_document(self, request: Request) -> str:
        audience = request.query.get("audience")
        document = IDENTITY_DOCUMENT | ({"audience": audience} if audience else {})
        return sign(json.dumps(document).encode(), self._authority.issue("ecs-identity"))

    def _credentials(self, request: Request) -> Mapping[str, str]:
        arn = f"acs:ram::{ACCOUNT}:role/{ECS_ROLE}/vm-ram-{INSTANCE}"
        credentials = self._sessions.issue(request, {"DurationSeconds": "21600"}, arn)
        return {**credentials, "LastUpdated": timestamp(request.now), "Code": "Success"}


def _text_response(text: str) -> Response:
    return Response(200, text.encode(), "ok", "text/plain")
