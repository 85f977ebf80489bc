"""The differences between two configurations, as dotted keys: what the log may show of a reload."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.config.explain import differences
from app.config.loader import Loaded

from ..conftest import configuration, exchange, identity

Load = Callable[..., Loaded]


def changed(loaded: Load, before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return each differing key with its old and new value."""
    old, new = loaded(before).settings, loaded(after).settings
    return {key: (old_value, new_value) for key, old_value, new_value in differences(old, new)}


def test_equal_configurations_have_no_difference(loaded: Load) -> None:
    """Two equal configurations have no difference."""
    assert changed(loaded, configuration(), configuration()) == {}


def test_differences_of_values_and_profiles(loaded: Load) -> None:
    """Each differing key has its old and new value; an added or removed key has None on one side."""
    after = configuration("default", "p2", access={"browsers": "allow"})
    after["profiles"]["default"]["exchange"] = exchange(durationSeconds=1800)
    after["profiles"]["default"]["chain"] = [{"roleArn": "acs:ram::1:role/x"}]

    differing = changed(loaded, configuration(), after)

    assert differing["access.browsers"] == ("refuse", "allow")
    assert differing["profiles.default.exchange.durationSeconds"] == (3600, 1800)
    assert differing["profiles.default.chain[0].roleArn"] == (None, "acs:ram::1:role/x")
    assert differing["profiles.p2.identity.type"] == (None, "idaas")
    assert not [key for key in differing if key.startswith("profiles.default.identity")]


def test_differences_show_no_secret(loaded: Load) -> None:
    """A changed proxy is shown without its login, and a changed command without its arguments."""
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

    differing = changed(loaded, before, after)

    assert set(differing) == {
        "proxy",
        "profiles.default.identity.command",
        "profiles.default.exchange.connection.proxy",
    }
    assert "canary" not in repr(differing)


def test_added_and_removed_command(loaded: Load, tmp_path: Path) -> None:
    """A change that adds or removes a command is shown without the command's arguments."""
    after = configuration()
    path = tmp_path / "print-token"
    path.write_text("#!/bin/sh")
    path.chmod(0o700)
    after["profiles"]["default"]["identity"] = {"type": "command", "command": [str(path), "s3cr3t"]}
    key, shown = "profiles.default.identity.command", [str(path), "(and 1 arguments)"]

    assert changed(loaded, configuration(), after)[key] == (None, shown)
    assert changed(loaded, after, configuration())[key] == (shown, None)
