"""A healthy profile beside many whose cloud hangs or drips: it gets credentials without waiting for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from .cloud import ENV
from .processes import emulator, serve
from .slow_servers import NEIGHBOURS, Part, beside_healthy


@pytest.mark.parametrize("part", ["token", "sts"])
@pytest.mark.parametrize("case", NEIGHBOURS)
def test_neighbours_do_not_delay_a_healthy_profile(case: str, part: Part, tmp_path: Path) -> None:
    """However many profiles wait for servers that hang or drip, one with a healthy server does not wait for them."""
    count, servers = NEIGHBOURS[case]
    with emulator(home=tmp_path) as cloud, servers() as ports:
        settings = beside_healthy(cloud, count, ports, part)
        with serve(settings, home=tmp_path, env=ENV) as sidecar:
            # Half of what the others wait. How fast it is: `bench/neighbours.py`.
            sidecar.process.event("credentials_issued", seconds=30, profile="healthy")
