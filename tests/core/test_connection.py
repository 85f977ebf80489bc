"""The limits of requests, where the configuration does not set them."""

from __future__ import annotations

from app.core.connection import HttpConfiguration


def test_default_limits_are_those_of_the_sdk() -> None:
    """Without configuration, a request has 5 s to connect and 10 s to the next byte, and TLS is verified."""
    assert HttpConfiguration() == HttpConfiguration(5000, 10_000, False)
