"""Reads credentials from STS's answer to any action that opens a session, and tries STS endpoints in order."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from ..core.errors import Unreachable
from ..core.values import Credentials
from ..upstream.redaction import shown_id

LONGEST_SESSION = 43_200
"""Seconds of the longest session (the largest MaxSessionDuration of a role)."""

CLOCK_ALLOWANCE = 3_600
"""Seconds by which this machine's clock may be behind. An Expiration that would need a larger difference is refused."""

_VALUE = re.compile(r"[!#-+\--\[\]-~]+")
"""Visible ASCII without quote, backslash and comma, which break the substring parsers of some clients."""


async def first_reachable(endpoints: tuple[str, ...], request: Callable[[str], Awaitable[Credentials]]) -> Credentials:
    """Return the result of `request` at the first reachable endpoint. Raises the error of the last endpoint tried."""
    for endpoint in endpoints[:-1]:
        try:
            return await request(endpoint)
        except Unreachable as error:
            # A quota belongs to the account and applies at every endpoint of the region: the next would refuse, too.
            if error.throttled:
                raise
    return await request(endpoints[-1])


STATUSES = {404: "IDS-444"}
"""The meaning of a status without a code of STS: the URL has a path, or belongs to another server."""


def credentials_from(members: Mapping[str, Any], *, now: float, where: str, secrets: Iterable[str] = ()) -> Credentials:
    """
    Return the session of a successful answer. Raises Unreachable unless it is complete and valid.

    `secrets`: those of the request, which the request id must not repeat.
    """
    found = members.get("Credentials")
    values = found if isinstance(found, dict) else {}
    triple = [values.get(name) for name in ("AccessKeyId", "AccessKeySecret", "SecurityToken")]
    return complete(
        triple,
        instant(values.get("Expiration")),
        now=now,
        where=where,
        request_id=str(members.get("RequestId", "")),
        secrets=secrets,
    )


def complete(
    triple: Sequence[Any],
    expires_at: float | None,
    *,
    now: float,
    where: str,
    request_id: str = "",
    secrets: Iterable[str] = (),
) -> Credentials:
    """Return key id, secret and token as Credentials. Raises Unreachable unless all exist and are plausible."""
    if not all(isinstance(value, str) and _VALUE.fullmatch(value) for value in triple) or expires_at is None:
        raise Unreachable(
            f"{where}: HTTP 200 without complete credentials", endpoint=where, status=200, error_code="IDS-422"
        )
    if expires_at <= now:
        raise Unreachable(
            f"{where}: the credentials have already expired by this machine's clock",
            cure="set the clock",
            endpoint=where,
            error_code="IDS-422",
        )
    if expires_at > now + LONGEST_SESSION + CLOCK_ALLOWANCE:
        # If such an Expiration were accepted, the next refresh would come far too late.
        raise Unreachable(
            f"{where}: the credentials end later than any session does",
            cure="set this machine's clock",
            endpoint=where,
            error_code="IDS-422",
        )
    key_id, secret, token = (str(value) for value in triple)
    return Credentials(
        key_id,
        secret,
        token,
        issued_at=now,
        expires_at=expires_at,
        request_id=shown_id(request_id, (*secrets, secret, token)),
    )


def instant(text: Any) -> float | None:
    """Return `YYYY-MM-DDThh:mm:ssZ` as seconds since the epoch; None for any other form, which STS does not write."""
    try:
        return float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
    except (TypeError, ValueError):
        return None
