"""The hosts by which clients may name the sidecar."""

from __future__ import annotations

from collections.abc import Callable

from app.config.hosts import allowed_hosts
from app.config.loader import Loaded

from ..conftest import configuration

SERVER = {"bind": "[0:0::2]:7117", "metadata": "192.0.2.1:80", "ops": "[::ffff:192.0.2.2]:7118"}
ACCESS = {"unsafeBind": True}


def test_addresses_of_the_listeners(loaded: Callable[..., Loaded]) -> None:
    """The default hosts and those of the listeners are allowed, each in the spelling of `canonical_host`."""
    settings = loaded(configuration(server=SERVER, access=ACCESS)).settings

    defaults = {"127.0.0.1", "localhost", "[::1]", "100.100.100.200"}
    assert allowed_hosts(settings) == defaults | {"[::2]", "192.0.2.1", "192.0.2.2"}


def test_configured_hosts_are_all(loaded: Callable[..., Loaded]) -> None:
    """If the configuration names hosts, no other host is allowed. Case does not matter."""
    access = {**ACCESS, "allowedHosts": ["Sidecar.Example", "[FD00:0::A]"]}
    settings = loaded(configuration(server=SERVER, access=access)).settings

    assert allowed_hosts(settings) == {"sidecar.example", "[fd00::a]"}
