"""
What goes wrong on purpose.

A `Fault` says how one answer differs from the true one; with several settings they add up (`delay` and
`status`). Those that replace the answer (`body`, `status`, `code`, `drop`) also skip verification. Recipes:

    too slow               Fault(delay=30)
    server down            Fault(status=503)
    throttled by STS       Fault("sts", code="Throttling.User", headers={"x-acs-retry-after": "1500"})
    throttled by IDaaS     Fault("token", status=429, headers={"Retry-After": "2"})
    truncated JSON         Fault("token", body=b'{"access_token": "eyJ')
    a gateway's HTML       Fault(body=b"<html></html>", content_type="text/html")
    empty fields           Fault("sts", body=b'{"Credentials": {"AccessKeyId": ""}}')
    far too much           Fault(body=b"x" * 50_000_000)
    redirect               Fault(status=307, headers={"Location": "https://elsewhere.example/"})
    signing key retired    Fault("token", expired_key=True)
    already expired        Fault("token", expiration_offset=-60)
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from .response import Answer, RefusedError


class DroppedError(ConnectionResetError):
    """
    The connection ends here without an answer.

    In process it reaches the caller as it is; behind `listening` the client's connection is closed on it.
    """


@dataclass(frozen=True, slots=True)
class Fault:
    """
    How answers of `kind` go wrong, `times` times, or always where that is None.

    `code` without `status` comes with the status the real service gives that code, `status` without `code`
    with a plausible code. `expiration_offset` is when the token or session issued expires, in seconds from
    now, instead of its usual life. `expired_key` signs a token with a key that is not in the JWKS any more.
    """

    kind: Literal["token", "jwks", "discovery", "sts", "openapi", "developerapi", "metadata", "workload", "*"] = "*"
    times: int | None = 1
    delay: float = 0
    status: int | None = None
    code: str | None = None
    message: str = "This is a fault that the emulator was asked for."
    body: bytes | None = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    expiration_offset: float | None = None
    expired_key: bool = False
    drop: bool = False

    @property
    def outcome(self) -> str:
        """What the journal calls an answer that this replaced."""
        return self.code or ("body" if self.body is not None else str(self.status))


NO_FAULT = Fault()


class Faults:
    """The faults waiting for their requests, oldest first; each request takes at most one."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def __iter__(self) -> Iterator[Fault]:
        return iter(tuple(self._waiting))

    def add(self, *faults: Fault) -> None:
        """Let these happen, after those already waiting."""
        self._waiting.extend(faults)

    def clear(self) -> None:
        """From now on nothing goes wrong."""
        self._waiting.clear()

    def take(self, kind: str) -> Fault:
        """The fault for a request of `kind`, which counts as one of its times; `NO_FAULT` if there is none."""
        for index, fault in enumerate(self._waiting):
            if fault.kind in (kind, "*"):
                self._use(index, fault)
                return fault
        return NO_FAULT

    def _use(self, index: int, fault: Fault) -> None:
        if fault.times is None:
            return
        if fault.times > 1:
            self._waiting[index] = replace(fault, times=fault.times - 1)
        else:
            del self._waiting[index]


def scripted(fault: Fault, kind: str) -> Answer | None:
    """The answer that `fault` puts in the true one's place, if it does. Raises `RefusedError` for an error code."""
    if fault.drop:
        raise DroppedError("the emulator dropped this connection, as it was asked to")
    if fault.body is not None or _bodiless(fault):
        return Answer(fault.status or 200, fault.body or b"", fault.outcome, fault.content_type)
    if fault.code is None and fault.status is None:
        return None
    code = fault.code or _plausible_code(kind, fault.status or 500)
    raise RefusedError(code, fault.message, fault.status)


def _bodiless(fault: Fault) -> bool:
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
