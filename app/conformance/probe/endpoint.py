"""The two endpoints of the server under test, with one method for each request that a rule needs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..wire.metadata import METADATA_HOST, ROLES_PATH, TOKEN_HEADER, TOKEN_PATH, TTL_HEADER
from ..wire.request import Request
from ..wire.response import Outcome
from ..wire.url import HttpUrl
from .caching_sender import CachingSender

MISSING = "idaas-sidecar-conformance-no-such-thing"
"""A name that exists on no server."""


@dataclass(frozen=True, slots=True)
class UriEndpoint:
    """The credentials URI. `now` is the wall clock when the check began."""

    url: HttpUrl
    sender: CachingSender
    now: float

    def get(self, *lines: str, host: str | None = None, method: str = "GET") -> Outcome:
        """Request the URL as configured."""
        return self.sender(Request(self.url.request_target, host or self.url.authority, lines, method))

    def get_with_other_slash(self) -> Outcome:
        """Request the URL with a trailing slash, or without it if the URL has one."""
        path = self.url.path
        other = path.rstrip("/") if path.endswith("/") and path != "/" else f"{path.rstrip('/')}/"
        return self._get(replace(self.url, path=other).request_target)

    def get_with_query(self, query: str) -> Outcome:
        """Request the URL with `query` added to its own."""
        own = self.url.query
        return self._get(replace(self.url, query=f"{own}&{query}" if own else query).request_target)

    def get_absolute_form(self) -> Outcome:
        """Request the URL in absolute form, as a client does with a proxy (RFC 9112, section 3.2.2)."""
        return self._get(self.url.origin + self.url.request_target)

    def get_missing(self) -> Outcome:
        """Request a path that does not exist, beside the URL's own path, so that it keeps a path token."""
        parent = self.url.path.rstrip("/").rpartition("/")[0]
        return self._get(f"{parent}/{MISSING}")

    def _get(self, target: str) -> Outcome:
        return self.sender(Request(target, self.url.authority))


@dataclass(frozen=True, slots=True)
class EcsEndpoint:
    """The ECS metadata paths. `token` is sent with each GET if the server requires one."""

    sender: CachingSender
    now: float
    role: str = "default"
    token: str | None = field(default=None, repr=False)

    def get(self, path: str, *lines: str, host: str = METADATA_HOST, without_token: bool = False) -> Outcome:
        """Request a path. `without_token`: leave the token out even if the server requires one."""
        token = (f"{TOKEN_HEADER}: {self.token}",) if self.token is not None and not without_token else ()
        return self.sender(Request(path, host, (*token, *lines)))

    def put_token(
        self, ttl: str = "21600", *, purpose: str = "", ttl_header: str = TTL_HEADER, content_length: bool = True
    ) -> Outcome:
        """Request a metadata token. `content_length`: send Content-Length: 0, as all clients but Java do."""
        lines = (f"{ttl_header}: {ttl}", *(("Content-Length: 0",) if content_length else ()))
        return self.sender(Request(TOKEN_PATH, METADATA_HOST, lines, "PUT"), purpose)

    def get_list(self) -> Outcome:
        """Request the list of role names, at the path that clients use."""
        return self.get(f"{ROLES_PATH}/")

    def get_role(self) -> Outcome:
        """Request the credentials of the role."""
        return self.get(self.role_path)

    def get_missing_role(self) -> Outcome:
        """Request the credentials of a role that does not exist."""
        return self.get(f"{ROLES_PATH}/{MISSING}")

    @property
    def role_path(self) -> str:
        """The path of the role's credentials."""
        return f"{ROLES_PATH}/{self.role}"
