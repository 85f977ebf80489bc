"""A healthy profile beside many whose cloud hangs or drips: it gets credentials without waiting for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.emulator.world.world import WORKLOAD_PROVIDER_ARN

from .cloud import ENV, config, emulator_admin
from .processes import EmulatedCloud, emulator, serve
from .slow_servers import NEIGHBOURS, TIMEOUT, Part, beside_healthy


def test_executable_that_hangs_for_other_profiles(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """An executable that hangs with the arguments of a hundred profiles delays no profile for which it answers."""
    token, script = tmp_path / "token", tmp_path / "token.sh"
    token.write_text(json.loads(emulator_admin(cloud.url, "POST", "token").body)["token"])
    script.write_text(f'#!/bin/sh\n[ "$1" = healthy ] || exec sleep 120\nexec cat {token}\n')
    script.chmod(0o755)
    exchange = config(cloud)["profiles"]["default"]["exchange"] | {"oidcProviderArn": WORKLOAD_PROVIDER_ARN}
    profiles = {}
    for name in (*(f"slow{number}" for number in range(100)), "healthy"):
        identity = {"type": "command", "command": [str(script), name], "timeoutSeconds": 120}
        profiles[name] = {"identity": identity, "exchange": exchange}
    with serve(config(cloud, profiles=profiles), home=tmp_path, env=ENV) as sidecar:
        # Before the first of the others gives up, on a machine of any speed.
        sidecar.process.event("credentials_issued", seconds=110, profile="healthy")


@pytest.mark.parametrize("part", ["token", "sts"])
@pytest.mark.parametrize("case", NEIGHBOURS)
def test_neighbours_do_not_delay_a_healthy_profile(case: str, part: Part, tmp_path: Path) -> None:
    """However many profiles wait for servers that hang or drip, one with a healthy server does not wait for them."""
    count, servers = NEIGHBOURS[case]
    with emulator(home=tmp_path) as cloud, servers() as ports:
        settings = beside_healthy(cloud, count, ports, part)
        with serve(settings, home=tmp_path, env=ENV) as sidecar:
            # Before the first of the others gives up. How fast it is: `bench/neighbours.py`.
            sidecar.process.event("credentials_issued", seconds=TIMEOUT / 1_000 - 5, profile="healthy")
