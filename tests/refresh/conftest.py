"""Fixtures of the simulated tests."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from app.emulator import Emulator

from .simulated import Time, emulated_cloud


@pytest.fixture
def time() -> Time:
    """The clocks of the simulated machine and of the cloud."""
    return Time()


@pytest.fixture
def cloud(time: Time, signing_key: rsa.RSAPrivateKey) -> Emulator:
    """The emulated cloud with the profile `default`, on the cloud's simulated clock."""
    return emulated_cloud(time, signing_key, "default")
