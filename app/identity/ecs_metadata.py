"""The ECS metadata service as a client: an instance identity document (PKCS7), or the instance role's credentials.

Every request has a session token from a PUT (instances may require it), and never uses a proxy. The client never asks
this program itself: if the sidecar listens on 100.100.100.200, the answers there do not come from the cloud.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote, urlsplit

from msgspec import Meta

from ..core import addresses, proxies, urls
from ..core.connection import Connection
from ..core.errors import ConfigError, Refused, Unreachable
from ..core.record import Record
from ..core.values import Now
from ..upstream.acs3 import KeyPair
from ..upstream.answers.errors import answer_of, error_of
from ..upstream.response import GetPut, UpstreamResponse
from .context import Context

EcsMetadataSetting = Annotated[
    str, Meta(description="URL of the ECS metadata service. A loopback URL selects an emulated one.")
]

SESSION_SECONDS = 60
"""Seconds of the session token's lifetime. Each query obtains a new token, and takes seconds."""

ROLE = "/latest/meta-data/ram/security-credentials/"

_SENDABLE = re.compile("[!-~]{1,20000}")
"""What a header can carry. A gateway or captive portal answers with a page instead of a token."""

_ROLES = re.compile(r"[\w.-]{1,64}(\s[\s\w.-]*)?", re.ASCII)
"""The names of RAM roles, one per line: letters, digits and hyphens, at most 64 characters."""

_DOCUMENT = re.compile(r"[\w+/=\s-]+", re.ASCII)
"""Base64 with line breaks, perhaps in PEM form."""


class EcsMetadata(Record, frozen=True):
    """The service at `endpoint`. `is_ours` returns whether a host is an address of this network namespace."""

    http: GetPut
    endpoint: str
    is_ours: Callable[[str], bool]
    now: Now

    async def identity_document(self, audience: str) -> str:
        """Return a newly signed PKCS#7 text for `audience`. Raises Refused, Unreachable or ConfigError."""
        claims = json.dumps({"aud": audience, "signingTime": int(self.now())}, separators=(",", ":"))
        path = f"/latest/dynamic/instance-identity/pkcs7?audience={quote(claims, safe='')}"
        text = await self._text(path, _DOCUMENT, "a PKCS#7 document in base64")
        return "".join(text.split())

    async def role_keys(self, role: str | None) -> KeyPair:
        """Return the keys of the instance's role (None: its only one). Raises Refused, Unreachable or ConfigError."""
        name = (role or "").strip() or await self._text(ROLE, _ROLES, "names of roles")
        where = f"{self.endpoint}{ROLE}"
        response = await self._get(ROLE + quote(name.split()[0], safe=""))
        members = answer_of(response, where, asked="the ECS metadata service", wanted="AccessKeyId")
        values = [members.get(key) for key in ("AccessKeyId", "AccessKeySecret", "SecurityToken")]
        if members.get("Code") != "Success" or not all(
            isinstance(value, str) and _SENDABLE.fullmatch(value) for value in values
        ):
            raise Unreachable(
                f"{where}: an answer without complete credentials", endpoint=where, status=200, error_code="IDS-326"
            )
        key_id, secret, token = map(str, values)
        return KeyPair(key_id, secret, token)

    async def _text(self, path: str, form: re.Pattern[str], what: str) -> str:
        return (await self._get(path)).text(f"{self.endpoint}{path.partition('?')[0]}", form, what)

    async def _get(self, path: str) -> UpstreamResponse:
        self._refuse_this_program()
        where = f"{self.endpoint}/latest/api/token"
        session = await self.http.put(where, {"X-aliyun-ecs-metadata-token-ttl-seconds": str(SESSION_SECONDS)})
        token = self._checked(session, "/latest/api/token").text(where, _SENDABLE, "a session token")
        response = await self.http.get(f"{self.endpoint}{path}", {"X-aliyun-ecs-metadata-token": token})
        return self._checked(response, path)

    def _refuse_this_program(self) -> None:
        host = urlsplit(self.endpoint).hostname or ""
        if host == "100.100.100.200" and self.is_ours(host):
            raise ConfigError(
                f"{self.endpoint}: that address belongs to this network namespace, so the sidecar, not the cloud, "
                "would answer",
                cure="remove the address from the interface (server.metadata), or use an authnMethod without the "
                "metadata service",
                error_code="IDS-326",
            )

    def _checked(self, response: UpstreamResponse, path: str) -> UpstreamResponse:
        where = f"{self.endpoint}{path.partition('?')[0]}"
        if response.status == 200:
            return response
        error = error_of(response, where, asked="the ECS metadata service")
        if isinstance(error, Refused):  # the service answers 404 with a page
            error = error.reworded(
                f"{where}: HTTP {response.status}: the metadata service has nothing at this path, "
                "or refuses the request",
                "give the instance a RAM role if the method reads its keys, or use another authnMethod",
            )
        raise error


def metadata_service(endpoint: str, context: Context) -> EcsMetadata:
    """Return the service at `endpoint`."""
    # A separate connection, because no configured proxy, CA or certificate is meant for the metadata service.
    http = context.connect(Connection(proxy=proxies.NO_PROXY), "ecsMetadataEndpoint")
    return EcsMetadata(http, endpoint.rstrip("/"), context.is_ours, context.now)


def check_endpoint(url: str, place: str) -> None:
    """Raise ConfigError unless `url` is the metadata address, or loopback for an emulated service."""
    found = urls.http_authority(url, place)
    if found is None or not addresses.is_private(found[0]):
        raise ConfigError(
            f"{place}: {url!r} is neither http://100.100.100.200 nor a loopback http URL without a path",
            error_code="IDS-112",
        )
