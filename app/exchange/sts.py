"""What STS answers: credentials or an error, for every action that opens a session; and its endpoints in turn."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from ..core.model import Credentials, Unreachable
from ..upstream.client import printable

LONGEST_SESSION = 43_200
"""Seconds (the largest MaxSessionDuration of a role)."""

CLOCK_ALLOWANCE = 3_600
"""Seconds by which this machine's clock may be behind before an Expiration is not believed."""

_VALUE = re.compile(r"[!#-+\--\[\]-~]+")
"""Visible ASCII without quote, backslash and comma: what substring parsers of the served body would trip over."""


async def first_reachable(endpoints: tuple[str, ...], ask: Callable[[str], Awaitable[Credentials]]) -> Credentials:
    """`ask` of each endpoint in turn while they cannot be reached; raises what the last one asked raises."""
    for endpoint in endpoints[:-1]:
        try:
            return await ask(endpoint)
        except Unreachable as error:
            # A quota is the account's and holds at every endpoint of the region: asking the next one is no cure.
            if error.code.startswith("Throttling"):
                raise
    return await ask(endpoints[-1])


def credentials_from(members: Mapping[str, Any], *, now: float, where: str) -> Credentials:
    """The session of a successful answer. Raises Unreachable unless it has three non-empty values and a future end."""
    found = members.get("Credentials")
    values = found if isinstance(found, dict) else {}
    triple = [values.get(name) for name in ("AccessKeyId", "AccessKeySecret", "SecurityToken")]
    return whole(
        triple, instant(values.get("Expiration")), now=now, where=where, request_id=str(members.get("RequestId", ""))
    )


def whole(
    triple: Sequence[Any], expires_at: float | None, *, now: float, where: str, request_id: str = ""
) -> Credentials:
    """Key id, secret and token as Credentials. Raises Unreachable unless all are there and can be believed."""
    if not all(isinstance(value, str) and _VALUE.fullmatch(value) for value in triple) or expires_at is None:
        raise Unreachable(f"{where}: HTTP 200 without whole credentials")
    if expires_at <= now:
        raise Unreachable(f"{where}: the credentials have already expired by this machine's clock; check the clock")
    if expires_at > now + LONGEST_SESSION + CLOCK_ALLOWANCE:
        # Believed, it would put off the next refresh for as long.
        raise Unreachable(f"{where}: the credentials end later than any session does; check this machine's clock")
    key_id, secret, token = (str(value) for value in triple)
    return Credentials(
        key_id,
        secret,
        token,
        issued_at=now,
        expires_at=expires_at,
        request_id=printable(request_id),
    )


def instant(text: Any) -> float | None:
    """`YYYY-MM-DDThh:mm:ssZ` as seconds since the epoch, or None: STS writes no other form."""
    try:
        return float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
    except (TypeError, ValueError):
        return None
