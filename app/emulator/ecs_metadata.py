"""The emulated ECS metadata service: session tokens by PUT, the identity document, the instance role's credentials."""

import json
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from .crypto.pkcs7 import sign
from .crypto.pki import Authority
from .http.request import Asked
from .http.response import Answer, RefusedError, json_answer
from .sts.issued_sessions import Sessions
from .sts.session import timestamp
from .world.world import ACCOUNT, ECS_ROLE, INSTANCE

PREFIX = "/latest/"
_TTL, _TOKEN = "x-aliyun-ecs-metadata-token-ttl-seconds", "x-aliyun-ecs-metadata-token"
_ROLES = "/latest/meta-data/ram/security-credentials/"
_PROXIED = ("via", "x-forwarded-for", "forwarded")
LONGEST = 21_600

DOCUMENT = {
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


class Metadata:
    """Answers in plain text, as the real one does; errors are an HTTP status and nothing to rely on."""

    def __init__(self, authority: Authority, sessions: Sessions, random: Callable[[int], bytes]) -> None:
        self._authority = authority
        self._sessions = sessions
        self._random = random
        self._until: dict[str, float] = {}

    def answer(self, asked: Asked) -> Answer:
        """Raises `RefusedError`."""
        if any(header in asked.headers for header in _PROXIED):
            raise RefusedError("Forbidden", "not through a proxy", 403)
        path = urlsplit(asked.url).path
        if path == "/latest/api/token":
            return self._token(asked)
        self._check(asked)
        answers = {
            "/latest/dynamic/instance-identity/document": lambda: json_answer(DOCUMENT),
            "/latest/dynamic/instance-identity/pkcs7": lambda: _text(self._pkcs7(asked)),
            "/latest/meta-data/instance-id": lambda: _text(INSTANCE),
            "/latest/meta-data/region-id": lambda: _text(DOCUMENT["region-id"]),
            _ROLES: lambda: _text(ECS_ROLE),
            _ROLES + ECS_ROLE: lambda: json_answer(self._credentials(asked)),
        }
        if path not in answers or asked.method != "GET":
            raise RefusedError("NotFound", "there is nothing here", 404)
        return answers[path]()

    def refuse(self, asked: Asked, refused: RefusedError) -> Answer:
        """An error page."""
        return Answer(refused.status or 500, refused.message.encode(), refused.code, "text/html")

    def _token(self, asked: Asked) -> Answer:
        ttl = asked.headers.get(_TTL, "")
        if asked.method != "PUT" or not ttl.isdigit() or not 1 <= int(ttl) <= LONGEST:
            raise RefusedError("BadRequest", "PUT with a TTL of 1 to 21600 seconds", 400)
        token = self._random(32).hex()
        self._until[token] = asked.at + int(ttl)
        return _text(token)

    def _check(self, asked: Asked) -> None:
        token = asked.headers.get(_TOKEN)
        if token is None and not asked.world.metadata_tokens_required:
            return
        if asked.at >= self._until.get(token or "", 0):
            raise RefusedError("Forbidden", "no token, or none of ours, or too old", 403)

    def _pkcs7(self, asked: Asked) -> str:
        audience = asked.query.get("audience")
        document = DOCUMENT | ({"audience": audience} if audience else {})
        return sign(json.dumps(document).encode(), self._authority.issue("ecs-identity"))

    def _credentials(self, asked: Asked) -> Mapping[str, str]:
        arn = f"acs:ram::{ACCOUNT}:role/{ECS_ROLE}/vm-ram-{INSTANCE}"
        found = self._sessions.open(asked, {"DurationSeconds": "21600"}, arn)
        return {**found, "LastUpdated": timestamp(asked.at), "Code": "Success"}


def _text(text: str) -> Answer:
    return Answer(200, text.encode(), "ok", "text/plain")
