"""
The margins of all known clients: the remaining seconds at which each client fetches credentials again.

docs/clients.md has this table, and a test compares it with the models of the conformance checks. Some clients have no
margin in seconds: they fetch at every call, at a share of the session, or at an age of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ..core.schedule import ROOM_FOR_RETRIES, horizon, lead

URI: Literal["credentials URI"] = "credentials URI"
ECS: Literal["ECS metadata"] = "ECS metadata"
RUN: Literal["run"] = "run"
SOURCE: Literal["source code"] = "source code"

DEFAULT_SESSION = 3600.0
"""Seconds of STS's default session."""

LENGTHS = (DEFAULT_SESSION, 7_200.0, 10_800.0, 43_200.0)
"""Session lengths in seconds, of which `needs` names the shortest that suits a client. RAM permits at most the last."""


@dataclass(frozen=True, slots=True)
class ClientMargin:
    """
    The margin of one client.

    `source`: whether the real client ran and its requests were counted (docs/clients-measured.md), or only its source
    code was read.
    """

    client: str
    interface: Literal["credentials URI", "ECS metadata"]
    seconds: int
    source: Literal["run", "source code"]

    @property
    def needs(self) -> float | None:
        """The shortest of LENGTHS with which the client does not fetch on every call; None if there is none."""
        return next((length for length in LENGTHS if least_left(length) > self.seconds), None)


MARGINS = (
    ClientMargin("ossutil v1", URI, 60, SOURCE),
    ClientMargin("alibabacloud legacy core for C++", ECS, 60, SOURCE),
    ClientMargin("ossutil v1", ECS, 60, SOURCE),
    ClientMargin("SLS Go", ECS, 120, RUN),
    ClientMargin("alibaba-cloud-sdk-go", URI, 180, RUN),
    ClientMargin("credentials-go", URI, 180, RUN),
    ClientMargin("ecctl", URI, 180, SOURCE),
    ClientMargin("SLS Java ECSRoleCredentialsProvider", ECS, 180, RUN),
    ClientMargin("alibaba-cloud-sdk-go", ECS, 180, RUN),
    ClientMargin("alibabacloud legacy core for .NET", ECS, 180, SOURCE),
    ClientMargin("credentials-cpp", ECS, 180, SOURCE),
    ClientMargin("credentials-go", ECS, 180, RUN),
    ClientMargin("credentials-swift", ECS, 180, SOURCE),
    ClientMargin("ecctl", ECS, 180, SOURCE),
    ClientMargin("aliyungo (external-dns)", ECS, 600, RUN),
    ClientMargin("OSS Java CustomSessionCredentialsProvider", URI, 720, RUN),
    ClientMargin("credentials-java", URI, 900, RUN),
    ClientMargin("credentials-nodejs", URI, 900, RUN),
    ClientMargin("credentials-php", URI, 900, SOURCE),
    ClientMargin("credentials-python", URI, 900, RUN),
    ClientMargin("credentials-python async", URI, 900, RUN),
    ClientMargin("credentials-csharp", ECS, 900, SOURCE),
    ClientMargin("credentials-java", ECS, 900, RUN),
    ClientMargin("credentials-php", ECS, 900, SOURCE),
    ClientMargin("credentials-python", ECS, 900, RUN),
    ClientMargin("aliyun-java-sdk-core", ECS, 1080, RUN),
    ClientMargin("ossfs v1", URI, 1200, SOURCE),
    ClientMargin("ossfs2", URI, 1200, SOURCE),
    ClientMargin("ossfs v1", ECS, 1200, SOURCE),
    ClientMargin("ossfs2", ECS, 1200, SOURCE),
    ClientMargin("ack-ram-tool", URI, 1860, RUN),
    ClientMargin("ack-ram-tool", ECS, 1860, RUN),
    ClientMargin("OSS Java EcsRamRoleCredentialsProvider", URI, 3240, RUN),
    ClientMargin("credentials-nodejs", ECS, 3600, RUN),
    ClientMargin("OSS Java InstanceProfileCredentialsProvider", ECS, 4320, RUN),
)


def least_left(length: float) -> float:
    """Return the least remaining seconds that a client sees while the cloud answers. `length`: seconds of a session."""
    return max(horizon(length), lead(length) - ROOM_FOR_RETRIES)


def missed(length: float) -> tuple[ClientMargin, ...]:
    """Return the clients that at times fetch on every call, with sessions of `length` seconds."""
    return tuple(each for each in MARGINS if each.seconds >= least_left(length))


def named(margins: Iterable[ClientMargin]) -> str:
    """Return the margins in seconds for a message, each with its clients."""
    by_seconds: dict[int, list[str]] = {}
    for each in margins:
        names = by_seconds.setdefault(each.seconds, [])
        if each.client not in names:
            names.append(each.client)
    return "; ".join(f"{seconds} s: {', '.join(names)}" for seconds, names in by_seconds.items())
