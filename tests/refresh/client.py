"""A client that reads all the time and checks each response against the promises of the contract."""

from __future__ import annotations

import json
from dataclasses import dataclass

from app.core.events import Refreshed
from app.exchange.sts import instant

from .simulated import Read, Sidecar

READ_INTERVAL = 7.0
"""Seconds between two reads."""


@dataclass
class Client:
    """
    Read all the time and compare each response with the sessions that were issued.

    `unavailable` counts responses with 503. `least_left` is the least lifetime left, in seconds.
    """

    sidecar: Sidecar
    unavailable: int = 0
    least_left: float = 1e9

    async def read_for(self, seconds: float) -> None:
        """Read every `READ_INTERVAL` seconds for `seconds`."""
        end = self.sidecar.time.monotonic() + seconds
        while self.sidecar.time.monotonic() < end:
            await self.read()
            await self.sidecar.time.advance(READ_INTERVAL)

    async def read_until_fresh(self, at_most: float) -> None:
        """Read every second until the profile is fresh, which must take at most `at_most` seconds."""
        end = self.sidecar.time.monotonic() + at_most
        while self.sidecar.profiles.refresher("default").status.state != "fresh":
            assert self.sidecar.time.monotonic() < end, "the profile is not fresh within one pause"
            await self.read()
            await self.sidecar.time.advance(1)

    async def read(self) -> None:
        """Read once and check the response."""
        was_valid = self.expires_at() > self.sidecar.time.wall()
        read = await self.sidecar.read()
        assert not (was_valid and read.waited), "promise 4: a GET waits although a valid credential is in memory"
        self.check(read, self.sidecar.time.wall())

    def check(self, read: Read, now: float) -> None:
        """Assert promises 1 and 3 of a response."""
        if read.status == 503:
            assert self.expires_at() <= now, "promise 3: what was issued is served to its last second"
            assert 1 <= read.retry_after <= 600
            self.unavailable += 1
            return
        body = json.loads(read.response.body)
        assert read.status == 200
        assert all(body[key] for key in ("AccessKeyId", "AccessKeySecret", "SecurityToken"))
        left = (instant(body["Expiration"]) or 0) - now
        assert left > 0, "promise 1: an Expiration in the future"
        self.least_left = min(self.least_left, left)

    def expires_at(self) -> float:
        """Return when the last session that was issued expires."""
        issued = self.sidecar.events(Refreshed)
        return float(issued[-1].credentials.expires_at) if issued else 0.0
