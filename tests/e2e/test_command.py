"""A token that an executable prints: real processes, bounded."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from app.core.errors import ConfigError, Refused, Unreachable
from app.core.values import Token
from app.identity.command import Command

from .processes import until

NOW = 1767323045.0
JWT = "e30.e30.c2ln"


def command(script: str, *, timeout: float = 20, use: str = "access_token", **environ: str) -> Command:
    argv = (sys.executable, "-c", script)
    return Command(argv, timeout, use, "identity.command", lambda: NOW, {"PATH": os.defpath, **environ})  # type: ignore[arg-type]


def printing(text: str) -> str:
    return f"print({text!r})"


async def test_a_token() -> None:
    """An OAuth token response; either token, as configured."""
    both = json.dumps({"access_token": JWT, "id_token": "e30.eyJleHAiOjE3NjczMjQwMDB9.c2ln", "expires_in": 600})

    assert await command(printing(both)).token() == Token(JWT, NOW + 600)
    assert (await command(printing(both), use="id_token").token()).expires_at == 1767324000


async def test_it_inherits_the_environment_and_no_input() -> None:
    """Its standard input is empty; variables are the sidecar's; what it says on standard error goes nowhere."""
    script = (
        "import json, os, sys; sys.stderr.write('of-x'); assert sys.stdin.read() == '';"
        "print(json.dumps({'access_token': os.environ['T'], 'expires_in': 60}))"
    )

    assert (await command(script, T=JWT).token()).value == JWT


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("raise SystemExit(7)", "the command ended with status 7"),
        (printing(json.dumps({"access_token": JWT, "expires_in": 60})) + "; raise SystemExit(1)", "with status 1"),
        (printing("of-x"), "printed 5 bytes that are not a JSON object"),
        (printing("[]"), "that are not a JSON object"),
        ("pass", "printed 0 bytes that are not a JSON object"),
        (printing("{}"), "an answer without access_token"),
        (printing(json.dumps({"access_token": JWT})), "does not say how long the token lives"),
        ("print('x' * 70000)", "printed more than 65536 bytes"),
    ],
)
async def test_no_token(script: str, words: str) -> None:
    """Whatever else it does may pass with time; none of its output is quoted."""
    with pytest.raises(Unreachable) as caught:
        await command(script).token()

    assert words in str(caught.value)
    assert "of-x" not in str(caught.value)


async def test_a_definite_no() -> None:
    """An `error` of its own is a refusal, whatever its status."""
    script = printing(json.dumps({"error": "access_denied", "error_description": "of-x"})) + "; raise SystemExit(1)"

    with pytest.raises(Refused, match=r"the command says access_denied$"):
        await command(script).token()


async def test_not_startable(tmp_path: Path) -> None:
    """A file that is no program is a configuration error with its name."""
    path = tmp_path / "no-program"
    path.write_text("x")

    with pytest.raises(ConfigError, match=f"identity.command: {path}: cannot be started: Permission denied"):
        await Command((str(path),), 5, "access_token", "identity.command", lambda: NOW, {}).token()


def alive(pid: str) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


async def test_it_is_killed_with_its_children(tmp_path: Path) -> None:
    """Who does not end in time is ended, and so is a child that would have held the pipe open."""
    pids = tmp_path / "pids"
    script = f"import os, time; child = os.fork();open({str(pids)!r}, 'a').write(f'{{os.getpid()}}\\n');time.sleep(60)"

    with pytest.raises(Unreachable, match="did not end within 1 s"):
        await command(script, timeout=1).token()

    written = await asyncio.to_thread(pids.read_text)
    assert len(written.split()) == 2
    await asyncio.to_thread(until, lambda: not any(map(alive, written.split())))


@pytest.mark.parametrize("holds", [True, False], ids=["holds its output", "holds nothing"])
async def test_what_it_leaves_behind_is_not_waited_for(holds: bool, tmp_path: Path) -> None:
    """The token is there when the command ends, whoever holds its output still; and nothing of it stays open here."""
    text, pids = json.dumps({"access_token": JWT, "expires_in": 60}), str(tmp_path / "pids")
    closed = () if holds else (0, 1, 2)
    script = (
        f"import os, time; print({text!r}, flush=True); pid = os.fork();"
        f"pid or ([os.close(number) for number in {closed}], time.sleep(60));"
        f"print(pid, file=open({pids!r}, 'a'))"
    )
    before = len(os.listdir("/proc/self/fd"))
    try:
        async with asyncio.timeout(20):
            tokens = [(await command(script, timeout=5).token()).value for _ in range(3)]

        assert tokens == [JWT] * 3
        assert len(os.listdir("/proc/self/fd")) <= before + 1  # the loop's own, for the first child
    finally:
        for pid in (await asyncio.to_thread(Path(pids).read_text)).split():
            os.kill(int(pid), signal.SIGKILL)
