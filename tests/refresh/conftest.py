"""Fixtures of the simulated tests, and a refresher with a fake fetch and a clock that the test moves."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from app.core.events import Event
from app.core.schedule import Schedule
from app.emulator import Emulator
from app.refresh.refresher import Policy, Refresher
from app.system.sleep import InterruptibleSleep

from ..clock import Clock
from .fake_cloud import FakeCloud
from .simulated import Time, emulated_cloud


@pytest.fixture
def time() -> Time:
    """The clocks of the simulated machine and of the cloud."""
    return Time()


@pytest.fixture
def cloud(time: Time, signing_key: rsa.RSAPrivateKey) -> Emulator:
    """The emulated cloud with the profile `default`, on the cloud's simulated clock."""
    return emulated_cloud(time, signing_key, "default")


@pytest.fixture
def fake_cloud(clock: Clock) -> FakeCloud:
    """The fake cloud that the refresher fetches from."""
    return FakeCloud(clock)


@pytest.fixture
def events() -> list[Event]:
    """The events that the refresher has emitted."""
    return []


@pytest.fixture
def refresher(fake_cloud: FakeCloud, clock: Clock, events: list[Event]) -> Refresher:
    """A refresher with the default schedule and a constant jitter."""
    sleep = InterruptibleSleep(clock.sleep)
    return Refresher(
        "default",
        fake_cloud.fetch,
        policy=Policy(Schedule()),
        observe=events.append,
        clocks=clock.clocks,
        sleep=sleep.sleep,
        wake=sleep.wake,
        random=lambda: 0.5,
    )
