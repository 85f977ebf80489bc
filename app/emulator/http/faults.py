"""
Injected faults.

A `Fault` states how one response differs from the correct one. Several settings combine, such as `delay` and `status`.
The settings that replace the response (`body`, `status`, `code`, `drop`) also skip verification. `NAMED_FAULTS` has
the usual faults by name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from .response import RefusedError, Response

Kind = Literal[
    "token",
    "jwks",
    "discovery",
    "sts",
    "openapi",
    "developerapi",
    "metadata",
    "workload",
    "okta",
    "ram",
    "*",
]
"""The endpoints of the emulator; `*` is any of them."""


class DroppedError(ConnectionResetError):
    """
    The connection is closed without a response.

    An in-process caller receives this exception. Behind `listening`, the client's connection is closed.
    """


@dataclass(frozen=True, slots=True)
class Fault:
    """
    How responses of an endpoint `kind` fail, `times` times; a `times` of None means always.

    `code` without `status` uses the status that the real service gives that code; `status` without `code` uses a
    plausible code. `expiration_offset` replaces the lifetime of the issued token or session: it expires that many
    seconds from now. `expired_key` signs a token with a key that is no longer in the JWKS.
    `quotes_request` repeats the request's credentials in the error message, as careless services do.
    """

    kind: Kind = "*"
    times: int | None = 1
    delay: float = 0
    status: int | None = None
    code: str | None = None
    message: str = "This error is a fault injected into the emulator."
    body: bytes | None = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    expiration_offset: float | None = None
    expired_key: bool = False
    quotes_request: bool = False
    drop: bool = False

    @property
    def outcome(self) -> str:
        """The outcome in the journal of a response that this fault replaced."""
        return self.code or ("body" if self.body is not None else str(self.status))


NO_FAULT = Fault()


class Faults:
    """A queue of pending faults. Each request takes at most one, the oldest of its kind."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []

    def __iter__(self) -> Iterator[Fault]:
        return iter(tuple(self._pending))

    def add(self, *faults: Fault) -> None:
        """Append faults to the queue."""
        self._pending.extend(faults)

    def clear(self) -> None:
        """Remove all pending faults."""
        self._pending.clear()

    def take(self, kind: str) -> Fault:
        """Return the fault for a request of `kind` and count it as used; `NO_FAULT` if none is pending."""
        for index, fault in enumerate(self._pending):
            if fault.kind in (kind, "*"):
                self._count_use(index, fault)
                return fault
        return NO_FAULT

    def _count_use(self, index: int, fault: Fault) -> None:
        if fault.times is None:
            return
        if fault.times > 1:
            self._pending[index] = replace(fault, times=fault.times - 1)
        else:
            del self._pending[index]


def injected_response(fault: Fault, kind: str) -> Response | None:
    """
    Return the response by which `fault` replaces the correct one; None if it replaces nothing.

    Raises `RefusedError` for an error code or an error status, and `DroppedError` for a dropped connection.
    """
    if fault.drop:
        raise DroppedError("a fault of the emulator dropped this connection")
    if fault.body is not None or _is_bare_status(fault):
        return Response(fault.status or 200, fault.body or b"", fault.outcome, fault.content_type)
    if fault.code is None and fault.status is None:
        return None
    code = fault.code or _plausible_code(kind, fault.status or 500)
    raise RefusedError(code, fault.message, fault.status)


def _is_bare_status(fault: Fault) -> bool:
    """Return whether the fault is a status below 400, such as a redirect's, without an error code."""
    return fault.code is None and fault.status is not None and fault.status < 400


def _plausible_code(kind: str, status: int) -> str:
    unavailable, throttled, other = _CODES["sts" if kind in ("sts", "openapi") else "oauth"]
    if status >= 500:
        return unavailable
    return throttled if status == 429 else other


_CODES = {
    "sts": ("ServiceUnavailable", "Throttling.User", "InvalidParameter"),
    "oauth": ("server_error", "slow_down", "invalid_request"),
}
"""The codes for a server error, for throttling and for any other error."""


NAMED_FAULTS: Mapping[str, Fault] = {
    "slow": Fault(delay=30),
    "server-error": Fault(status=503),
    "sts-throttled": Fault("sts", code="Throttling.User", headers={"x-acs-retry-after": "1500"}),
    "idaas-throttled": Fault("token", status=429, headers={"Retry-After": "2"}),
    "truncated-json": Fault("token", body=b'{"access_token": "eyJ'),
    "gateway-html": Fault(body=b"<html></html>", content_type="text/html"),
    "empty-fields": Fault("sts", body=b'{"Credentials": {"AccessKeyId": ""}}'),
    "oversized-body": Fault(body=b"x" * 2_000_000),
    "redirect": Fault(status=307, headers={"Location": "https://elsewhere.example/"}),
    "retired-key": Fault("token", expired_key=True),
    "expired-token": Fault("token", expiration_offset=-60),
    "short-session": Fault("sts", expiration_offset=60),
    "dropped-connection": Fault(drop=True),
    "throttled-with-a-page": Fault("sts", status=429, body=b"<html></html>", headers={"Retry-After": "30"}),
    "quoted-secrets": Fault("token", code="invalid_client", quotes_request=True),
    "wrong-secret": Fault("token", status=401, code="invalid_client"),
    "role-denied": Fault("sts", code="AuthenticationFail.NoPermission", message="There is no permission"),
}
"""Faults by the name that `POST /_emulator/faults?name=` and the pytest plugin accept."""
