"""The identity of type `command`: a token that a child process prints, with limits on time and size."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.errors import ConfigError, Refused, Unreachable
from app.core.values import Token
from app.identity.command import Command

from ..descriptors import opened
from .cloud import config
from .processes import DEADLINE, ROOT, EmulatedCloud, environment, run, serve, wait_until

NOW = 1767323045.0
JWT = "e30.e30.c2ln"
TIMED = "e30.eyJleHAiOjE3NjczMjQwMDB9.c2ln"
"""A token that expires at 1767324000."""


def command(script: str, *, timeout: float = DEADLINE, use: str = "access_token", **environ: str) -> Command:
    """Return a command that runs a Python script."""
    argv = (sys.executable, "-c", script)
    return Command(argv, timeout, use, "identity.command", lambda: NOW, {"PATH": os.defpath, **environ})  # type: ignore[arg-type]


def printing(text: str) -> str:
    """Return a script that prints `text`."""
    return f"print({text!r})"


async def test_token() -> None:
    """The command prints an OAuth token response, and the configured one of its two tokens is used."""
    both = json.dumps({"access_token": JWT, "id_token": "e30.eyJleHAiOjE3NjczMjQwMDB9.c2ln", "expires_in": 600})

    assert await command(printing(both)).token() == Token(JWT, NOW + 600)
    assert (await command(printing(both), use="id_token").token()).expires_at == 1767324000


@pytest.mark.parametrize(
    "text",
    [
        TIMED,
        json.dumps({"value": TIMED}),
        json.dumps({"kind": "ExecCredential", "apiVersion": "v1", "status": {"token": TIMED}}),
        json.dumps([{"svids": [{"spiffe_id": "spiffe://a/b", "svid": TIMED}]}, {"bundles": {}}]),
        json.dumps({"access_token": JWT, "expires_in": "955"}),
    ],
    ids=["bare JWT", "GitHub", "ExecCredential", "SPIRE", "text for a number"],
)
async def test_other_forms_of_a_token(text: str) -> None:
    """A bare JWT, GitHub's `value`, an ExecCredential and SPIRE's list are read, too."""
    assert (await command(printing(text)).token()).expires_at == 1767324000


async def test_last_line_of_standard_error_is_shown() -> None:
    """A command that fails is quoted: the last line of its standard error, cut, and without secrets."""
    script = (
        "import os, sys; sys.stderr.write('x' * 300000);"
        "sys.stderr.write('\\nvault:\\tno\\x1b route, ' + os.environ['T_TOKEN'] + '\\n\\n');"
        "raise SystemExit(3)"
    )
    with pytest.raises(Unreachable) as caught:
        await command(script, T_TOKEN="of-the-vault-1").token()

    assert caught.value.cloud_message == "vault: no\\x1b route, [hidden]"
    assert str(caught.value).endswith('it says "vault: no\\x1b route, [hidden]"')


async def test_environment_and_input() -> None:
    """The command inherits the environment, gets an empty standard input, and may print to its standard error."""
    script = (
        "import json, os, sys; sys.stderr.write('of-x'); assert sys.stdin.read() == '';"
        "print(json.dumps({'access_token': os.environ['T'], 'expires_in': 60}))"
    )

    assert (await command(script, T=JWT).token()).value == JWT


SECRETS = {"CLIENT_SECRET": "of-client", "PATH_TOKEN": "of-path-0123456789", "CACHE_KEY": "of-cache-" * 5}


def test_secrets_of_the_sidecar_are_not_inherited(tmp_path: Path) -> None:
    """A running sidecar's command inherits what programs need and what is named, and no secret of the sidecar."""
    script = "import json, os; open('seen', 'w').write(json.dumps(dict(os.environ))); print('{\"error\": \"e\"}')"
    identity = {
        "type": "command",
        "command": [sys.executable, "-c", f"import os; os.chdir({str(tmp_path)!r}); {script}"],
        "environment": ["NAMED", "ABSENT"],
    }
    nowhere = "http://127.0.0.1:9"
    settings = config(EmulatedCloud(None, nowhere, nowhere, nowhere, tmp_path))  # type: ignore[arg-type]
    settings["profiles"]["other"] = json.loads(json.dumps(settings["profiles"]["default"]))
    settings["profiles"]["other"]["identity"]["authnConfiguration"]["clientSecretEnvVarName"] = "CLIENT_SECRET"
    settings["profiles"]["default"]["identity"] = identity
    settings["access"] = {"pathToken": {"envVarName": "PATH_TOKEN"}}
    settings["cache"] = {"directory": str(tmp_path / "cache"), "keyEnvVarName": "CACHE_KEY"}
    others = {"NAMED": "n", "LC_ALL": "C.UTF-8", "https_proxy": nowhere, "OTHER": "o"}
    (tmp_path / "cache").mkdir(mode=0o700)
    with serve(settings, home=tmp_path, env={**SECRETS, **others}) as sidecar:
        sidecar.process.event("refresh_failed", profile="default")
    seen = json.loads((tmp_path / "seen").read_text())

    assert seen.keys() - {"LC_CTYPE"} == {"PATH", "HOME", "TMPDIR", "NAMED", "LC_ALL", "https_proxy"}
    assert seen["NAMED"] == "n"


def test_name_in_environment_is_not_repeated(tmp_path: Path) -> None:
    """A value in the place of a name is refused, and not shown: it may be a secret."""
    settings = {
        "configVersion": "1.0",
        "profiles": {
            "default": {"identity": {"type": "command", "command": ["/bin/true"], "environment": ["A=s3cr3t"]}}
        },
    }
    (tmp_path / "config.json").write_text(json.dumps(settings))
    done = run("config", "--config", str(tmp_path / "config.json"), env=environment(tmp_path))

    assert done.code == 2
    assert "profiles.default.identity.environment[0]" in done.err
    assert "s3cr3t" not in done.err


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("raise SystemExit(7)", "the command ended with status 7"),
        (printing(json.dumps({"access_token": JWT, "expires_in": 60})) + "; raise SystemExit(1)", "with status 1"),
        (printing("of-x"), "printed 5 bytes that are neither a JSON object nor a JWT"),
        (printing("[]"), "that are neither a JSON object nor a JWT"),
        ("pass", "printed 0 bytes that are neither a JSON object nor a JWT"),
        (printing("{}"), "an answer without access_token"),
        (printing(json.dumps({"access_token": JWT})), "does not say how long the token lives"),
        ("print('x' * 70000)", "printed more than 65536 bytes"),
    ],
)
async def test_unusable_output(script: str, words: str) -> None:
    """Output without a usable token raises Unreachable, whose message does not repeat the output."""
    with pytest.raises(Unreachable) as caught:
        await command(script).token()

    assert words in str(caught.value)
    assert "of-x" not in str(caught.value)


async def test_refusal() -> None:
    """An `error` member in the output raises Refused, whatever the exit status is."""
    script = printing(json.dumps({"error": "access_denied", "error_description": "of-x"})) + "; raise SystemExit(1)"

    with pytest.raises(Refused, match=r"the command says access_denied$"):
        await command(script).token()


async def test_command_that_cannot_be_started(tmp_path: Path) -> None:
    """A file that is not a program raises ConfigError with its path."""
    path = tmp_path / "no-program"
    path.write_text("x")
    path.chmod(0o700)

    with pytest.raises(ConfigError, match=f"identity.command: {path}: cannot be started: Exec format error"):
        await Command((str(path),), 5, "access_token", "identity.command", lambda: NOW, {}).token()


def is_alive(pid: str) -> bool:
    """Return whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


async def test_command_is_killed_with_its_children(tmp_path: Path) -> None:
    """A command that exceeds its time limit is killed together with the children that hold its pipe open."""
    pids = tmp_path / "pids"
    argv = ("/bin/sh", "-c", f'sleep 600 & echo "$$ $!" > {pids}; wait')

    # 5 s: long enough for a shell to write both ids, also on a busy machine
    with pytest.raises(Unreachable, match="did not end within 5 s"):
        await Command(argv, 5, "access_token", "identity.command", lambda: NOW, {"PATH": os.defpath}).token()

    pid_list = await asyncio.to_thread(pids.read_text)
    assert len(pid_list.split()) == 2
    await asyncio.to_thread(wait_until, lambda: not any(map(is_alive, pid_list.split())))


@pytest.mark.parametrize("holds_output", [True, False], ids=["holds its output", "holds nothing"])
async def test_children_left_behind_are_not_waited_for(holds_output: bool, tmp_path: Path) -> None:
    """A token is available when the command exits, although a child lives on; no descriptor stays open."""
    text, pids = json.dumps({"access_token": JWT, "expires_in": 60}), str(tmp_path / "pids")
    closed = () if holds_output else (0, 1, 2)
    script = (
        f"import os, time; print({text!r}, flush=True); pid = os.fork();"
        f"pid or ([os.close(number) for number in {closed}], time.sleep(600));"
        f"print(pid, file=open({pids!r}, 'a'))"
    )
    before = opened("pipe:")
    try:
        async with asyncio.timeout(DEADLINE):
            tokens = [(await command(script, timeout=DEADLINE).token()).value for _ in range(3)]

        assert tokens == [JWT] * 3
        assert set(opened("pipe:")) <= set(before)
    finally:
        for pid in (await asyncio.to_thread(Path(pids).read_text)).split():
            os.kill(int(pid), signal.SIGKILL)


LIMITED = """
import asyncio, os, resource, sys, time
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
from app.core.errors import Refused
from app.identity.command import Command
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
os.set_inheritable(os.open("/dev/null", os.O_RDONLY), True)
child = '''
import os, resource, sys, time
def limits():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0], open("/proc/self/oom_score_adj").read().strip()
end = time.monotonic() + 20
while limits() != (512, "1000") and time.monotonic() < end:
    time.sleep(0.01)
status = dict(line.split(":") for line in open("/proc/self/status").read().splitlines())
print(*limits(), int(status["SigBlk"], 16), *sorted(set(os.listdir("/proc/self/fd")) - {"3"}), file=sys.stderr)
print('{"error": "seen"}')
'''
argv = (sys.executable, "-c", child)
try:
    asyncio.run(Command(argv, 60, "access_token", "p", time.time, {"PATH": os.defpath}).token())
except Refused as error:
    print(error.cloud_message)
"""


def test_command_does_not_inherit_what_the_sidecar_needs_for_itself() -> None:
    """
    The command has the limit of open files of the sidecar's start, no further descriptor, and no blocked signal.

    The kernel ends it before the sidecar.
    """
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, cwd=ROOT, timeout=DEADLINE)

    # The child lists its descriptors with a further one, 3.
    assert done.stdout.split() == ["512", "1000", "0", "0", "1", "2"], done.stderr
