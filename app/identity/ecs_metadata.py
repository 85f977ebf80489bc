"""The ECS metadata service as we ask it: an identity document (PKCS7), or the instance role's credentials.

Always with a session token by PUT (instances may insist on it), never through a proxy, and never of
ourselves: where this program has 100.100.100.200, what answers there is no cloud.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from ..core.model import ConfigError, Now, Refused, Unreachable
from ..upstream.acs3 import KeyPair
from ..upstream.client import GetPut, Reply

SESSION_SECONDS = 60
"""Life of the session token: one is made for each question, and asking takes seconds."""

ROLE = "/latest/meta-data/ram/security-credentials/"


@dataclass(frozen=True, slots=True)
class EcsMetadata:
    """`is_ours` tells whether a host is an address of this very network namespace."""

    wire: GetPut
    endpoint: str
    is_ours: Callable[[str], bool]
    now: Now

    async def identity_document(self, audience: str) -> str:
        """A fresh PKCS#7 text for `audience`, signed now. Raises Refused, Unreachable or ConfigError."""
        asked = json.dumps({"aud": audience, "signingTime": int(self.now())}, separators=(",", ":"))
        text = await self._get(f"/latest/dynamic/instance-identity/pkcs7?audience={quote(asked, safe='')}")
        return "".join(text.split())

    async def role_keys(self, role: str | None) -> KeyPair:
        """Keys of the instance's role. Raises Refused, Unreachable or ConfigError."""
        name = role or await self._get(ROLE)
        where = f"{self.endpoint}{ROLE}"
        members = (await self._ask(ROLE + quote(name.split()[0], safe=""))).members(where)
        values = [members.get(key) for key in ("AccessKeyId", "AccessKeySecret", "SecurityToken")]
        if members.get("Code") != "Success" or not all(isinstance(value, str) and value for value in values):
            raise Unreachable(f"{where}: an answer without whole credentials")
        key_id, secret, token = map(str, values)
        return KeyPair(key_id, secret, token)

    async def _get(self, path: str) -> str:
        return (await self._ask(path)).text(f"{self.endpoint}{path.partition('?')[0]}")

    async def _ask(self, path: str) -> Reply:
        self._refuse_ourselves()
        session = await self.wire.put(
            f"{self.endpoint}/latest/api/token", {"X-aliyun-ecs-metadata-token-ttl-seconds": str(SESSION_SECONDS)}
        )
        token = self._checked(session, "/latest/api/token").text(f"{self.endpoint}/latest/api/token")
        reply = await self.wire.get(f"{self.endpoint}{path}", {"X-aliyun-ecs-metadata-token": token})
        return self._checked(reply, path)

    def _refuse_ourselves(self) -> None:
        host = urlsplit(self.endpoint).hostname or ""
        if host == "100.100.100.200" and self.is_ours(host):
            raise ConfigError(
                f"{self.endpoint}: that address is this network namespace's own, so the sidecar, not the cloud, would "
                "answer; take it off the interface (server.metadata), or use another authnMethod than one that needs "
                "the metadata service"
            )

    def _checked(self, reply: Reply, path: str) -> Reply:
        where = f"{self.endpoint}{path.partition('?')[0]}"
        if reply.status >= 500 or reply.status == 429:
            raise Unreachable(f"{where}: HTTP {reply.status}", retry_after=reply.retry_after)
        if reply.status != 200:
            raise Refused(
                f"{where}: HTTP {reply.status}: has the instance that document, or a RAM role?",
                status=reply.status,
                code=str(reply.status),
            )
        return reply
