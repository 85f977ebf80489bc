"""Settings as dotted keys, and what differs between two of them: what a log may say of a reload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.config.explain import differences
from app.config.loader import Loaded

from ..conftest import configuration, exchange, identity

Load = Callable[..., Loaded]


def changed(loaded: Load, before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    old, new = loaded(before).settings, loaded(after).settings
    return {key: (was, now) for key, was, now in differences(old, new)}


def test_nothing(loaded: Load) -> None:
    """The same file is no difference."""
    assert changed(loaded, configuration(), configuration()) == {}


def test_a_value_a_profile_and_a_link(loaded: Load) -> None:
    """Each differing key with what it was and is; what came or went is a key with None on one side."""
    after = configuration("default", "p2", access={"browsers": "allow"})
    after["profiles"]["default"]["exchange"] = exchange(durationSeconds=1800)
    after["profiles"]["default"]["chain"] = [{"roleArn": "acs:ram::1:role/x"}]

    found = changed(loaded, configuration(), after)

    assert found["access.browsers"] == ("refuse", "allow")
    assert found["profiles.default.exchange.durationSeconds"] == (3600, 1800)
    assert found["profiles.default.chain[0].roleArn"] == (None, "acs:ram::1:role/x")
    assert found["profiles.p2.identity.type"] == (None, "idaas")
    assert not [key for key in found if key.startswith("profiles.default.identity")]


def test_what_may_hold_a_secret(loaded: Load) -> None:
    """A proxy is told without its login, a command without its arguments; that they differ is told all the same."""
    before, after = (
        configuration(
            profiles={
                "default": {
                    "identity": {"type": "command", "command": ["/bin/true", f"canary-{word}"]},
                    "exchange": exchange(connection={"proxy": f"http://u:canary-{word}@proxy.example:1"}),
                },
                "p2": {"identity": identity(), "exchange": exchange("p2")},
            },
            proxy=f"http://u:canary-{word}@proxy.example:3128",
        )
        for word in ("old", "new")
    )

    found = changed(loaded, before, after)

    assert set(found) == {
        "proxy",
        "profiles.default.identity.command",
        "profiles.default.exchange.connection.proxy",
    }
    assert "canary" not in repr(found)
