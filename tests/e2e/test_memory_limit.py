"""The sidecar and commands beside it in a real memory cgroup with less than the manifests' limit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .cloud import ENV, config
from .memory_group import MemoryGroup, memory_group
from .processes import PROGRAM, emulator, environment, run, serve
from .users import needs_root
from .wire import fetch

ROUNDS = 5


@pytest.fixture
def group() -> Iterator[MemoryGroup]:
    """A group with a limit that is lower than that of the manifests."""
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(memory_group())
        except OSError as error:
            pytest.skip(f"no memory cgroup can be made: {error}")
        yield made


@needs_root
@pytest.mark.parametrize("orders", [("get", "get"), ("get", "refresh"), ("purge", "status.json")])
def test_two_commands_at_once(group: MemoryGroup, tmp_path: Path, orders: tuple[str, str]) -> None:
    """Two commands at once in the container's memory end well, and the kernel ends no process."""
    home = tmp_path / "home"
    home.mkdir()
    program = group.program(*PROGRAM)
    with emulator(home=tmp_path) as cloud:
        settings = config(cloud)
        settings["server"]["adminSocket"] = str(home / "admin.sock")
        with serve(settings, home=home, env=ENV, program=program) as sidecar, ThreadPoolExecutor(2) as threads:
            sidecar.process.event("credentials_issued")

            def order(name: str) -> int:
                if name == "status.json":
                    return fetch(sidecar.urls["ops"], "/status.json").status - 200
                found = run(name, "--config", str(sidecar.config_path), env=environment(home), program=program)
                return found.code

            codes = [code for _ in range(ROUNDS) for code in threads.map(order, orders)]

            assert codes == [0] * 2 * ROUNDS
            assert fetch(sidecar.urls["credentials"], "/credentials").status == 200
        assert group.kills == 0


@needs_root
def test_too_many_commands_at_once(group: MemoryGroup, tmp_path: Path) -> None:
    """Where the memory does not suffice for all commands, the kernel ends commands, and not the sidecar."""
    home = tmp_path / "home"
    home.mkdir()
    program = group.program(*PROGRAM)
    with emulator(home=tmp_path) as cloud, serve(config(cloud), home=home, env=ENV, program=program) as sidecar:
        sidecar.process.event("credentials_issued")

        def doctor(_: int) -> int:
            environ = environment(home, **ENV)
            return run("doctor", "--config", str(sidecar.config_path), env=environ, program=program).code

        with ThreadPoolExecutor(6) as threads:
            codes = list(threads.map(doctor, range(6)))

        assert group.kills >= 1, codes
        assert fetch(sidecar.urls["credentials"], "/credentials").status == 200
