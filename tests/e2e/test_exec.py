"""`exec`: a command with a sidecar of its own."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .processes import EmulatedCloud, Ended, Process, emulator, environment, run
from .test_service import ENV, SECRET, config
from .wire import ask

SHOW = "import json, os; print(json.dumps(dict(os.environ)), flush=True)"
FETCH = """
import json, os, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
print(opener.open(os.environ["ALIBABA_CLOUD_CREDENTIALS_URI"]).read().decode())
"""
WAIT = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print("told to end", flush=True), sys.exit(7)))
print(os.environ["ALIBABA_CLOUD_CREDENTIALS_URI"], flush=True)
signal.pause()
"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    with emulator(home=tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture
def file(cloud: EmulatedCloud, tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    settings = config(cloud)
    settings["profiles"]["p2"] = settings["profiles"]["default"] | {"callers": {"uids": [4711]}}
    path.write_text(json.dumps(settings))
    return path


def execute(file: Path, *command: str, flags: tuple[str, ...] = (), **variables: str) -> Ended:
    env = environment(file.parent, **ENV, **variables)
    return run("exec", "--config", str(file), *flags, "--", *command, env=env)


def test_the_command_gets_credentials(file: Path) -> None:
    """The URI in its environment answers, with a path token of 32 characters on a port of its own."""
    done = execute(file, sys.executable, "-c", FETCH)

    assert done.code == 0
    assert json.loads(done.out)["Code"] == "Success"
    assert done.err == ""


def test_its_environment(file: Path) -> None:
    """The sidecar's secret and what every SDK asks first are gone; the rest of the environment is as it was."""
    done = execute(file, sys.executable, "-c", SHOW, ALIBABA_CLOUD_ACCESS_KEY_ID="old", KEPT="yes")
    found = json.loads(done.out)
    *_, token, last = found["ALIBABA_CLOUD_CREDENTIALS_URI"].split("/")

    assert (len(token), last) == (32, "credentials")
    assert found["ALIBABA_CLOUD_ECS_METADATA_DISABLED"] == "true"
    assert found["KEPT"] == "yes"
    assert "ALIBABA_CLOUD_ACCESS_KEY_ID" not in found
    assert SECRET not in done.out


def test_nobody_elses_secrets_either(cloud: EmulatedCloud, file: Path) -> None:
    """The secrets of the other profiles, the path token and the cache's key are not the command's business."""
    settings = json.loads(file.read_text())
    other = json.loads(json.dumps(settings["profiles"]["p2"]))
    other["identity"]["authnConfiguration"]["clientSecretEnvVarName"] = "OTHER"
    settings["profiles"]["other"] = other
    settings["access"] = {"pathToken": {"envVarName": "PATH_TOKEN"}}
    settings["cache"] = {"directory": str(file.parent / "cache"), "keyEnvVarName": "KEY"}
    file.write_text(json.dumps(settings))
    secrets = {"OTHER": "canary-of-another", "PATH_TOKEN": "canary-of-the-path", "KEY": "canary-of-the-cache" * 2}
    done = execute(file, sys.executable, "-c", SHOW, **secrets)

    assert done.code == 0
    assert "canary" not in done.out


def test_the_running_sidecars_cache_is_left_alone(file: Path) -> None:
    """A command's sidecar neither reads, writes nor tidies the cache that the configuration names."""
    settings = json.loads(file.read_text())
    directory = file.parent / "cache"
    settings["cache"] = {"directory": str(directory), "keyEnvVarName": "KEY"}
    file.write_text(json.dumps(settings))
    entry = directory / "idaas-sidecar" / "p2.sealed"
    entry.parent.mkdir(parents=True, mode=0o700)
    directory.chmod(0o700)
    entry.write_text("of a profile that the command does not use")
    entry.chmod(0o600)
    done = execute(file, sys.executable, "-c", FETCH, KEY="k" * 32)

    assert done.code == 0
    assert [path.name for path in entry.parent.iterdir()] == ["p2.sealed"]


def test_each_has_its_own_token(file: Path) -> None:
    """No two runs share a URL."""
    first, second = (json.loads(execute(file, sys.executable, "-c", SHOW).out) for _ in range(2))

    assert first["ALIBABA_CLOUD_CREDENTIALS_URI"] != second["ALIBABA_CLOUD_CREDENTIALS_URI"]


def test_without_the_token_nobody_gets_anything(file: Path) -> None:
    """Another process of the machine that finds the port is refused, and the command's signals and code are its own."""
    arguments = ("exec", "--config", str(file), "--", sys.executable, "-c", WAIT)
    with Process(*arguments, env=environment(file.parent, **ENV)) as process:
        uri = process.stdout.find(bool)
        base, token, _ = uri.rsplit("/", 2)

        assert ask(base, f"/{token}/credentials").status == 200
        assert ask(base, "/credentials").status == 403
        assert ask(base, "/latest/meta-data/ram/security-credentials/").status == 403
        process.send(signal.SIGTERM)
        assert process.stdout.find(lambda line: "told" in line) == "told to end"
        assert process.code() == 7


def test_without_dashes(file: Path) -> None:
    """The command's own options need no -- before it."""
    done = run("exec", "--config", str(file), sys.executable, "-c", FETCH, env=environment(file.parent, **ENV))

    assert json.loads(done.out)["Code"] == "Success"


@pytest.mark.parametrize("variables", [{}, {"NO_PROXY": "one.example,127.0.0.1"}, {"no_proxy": "one.example"}])
def test_loopback_needs_no_proxy(file: Path, variables: dict[str, str]) -> None:
    """A proxy in the environment is not asked for 127.0.0.1, whatever else it is not asked for."""
    fetch = FETCH.replace("ProxyHandler({})", "ProxyHandler()")
    done = execute(file, sys.executable, "-c", fetch, http_proxy="http://127.0.0.1:9", **variables)
    shown = json.loads(execute(file, sys.executable, "-c", SHOW, **variables).out)

    assert json.loads(done.out)["Code"] == "Success"
    assert {shown["no_proxy"], shown["NO_PROXY"]} == {"one.example,127.0.0.1" if variables else "127.0.0.1"}


def test_the_running_sidecars_files_are_left_alone(cloud: EmulatedCloud, file: Path) -> None:
    """A file that the configuration keeps up to date is the running sidecar's to write."""
    settings = json.loads(file.read_text())
    settings["profiles"]["default"]["files"] = [{"path": str(file.parent / "app.ini")}]
    file.write_text(json.dumps(settings))

    assert execute(file, sys.executable, "-c", FETCH).code == 0
    assert not (file.parent / "app.ini").exists()


def test_a_profile(file: Path) -> None:
    """Another profile is the one that is served; its rule about callers is for others than its own command."""
    done = execute(file, sys.executable, "-c", FETCH, flags=("--profile", "p2"))

    assert json.loads(done.out)["Code"] == "Success"


@pytest.mark.parametrize(("script", "code"), [("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)])
def test_exit_codes(file: Path, script: str, code: int) -> None:
    """The command's exit code is ours, and 128 and the signal's number where one ended it."""
    assert execute(file, sys.executable, "-c", script).code == code


@pytest.mark.parametrize("command", ["/no/such/command", "no-such-command"])
def test_a_command_that_does_not_exist(file: Path, command: str) -> None:
    """A command that does not exist is one line and exit 127, as in a shell."""
    done = execute(file, command)

    assert done.code == 127
    assert done.complaint == f"idaas-sidecar exec: {command}: no such command"


@pytest.mark.parametrize("command", ["/etc/passwd", "/tmp"])
def test_a_command_that_is_not_executable(file: Path, command: str) -> None:
    """A file without the execute permission, and a directory, are one line and exit 126, as in a shell."""
    done = execute(file, command)

    assert done.code == 126
    assert done.complaint == f"idaas-sidecar exec: {command}: not executable"


def test_a_command_that_cannot_be_executed(file: Path) -> None:
    """Any other reason why the system cannot start the command is one line and exit 126, as in bash."""
    done = execute(file, "/etc/passwd/command")

    assert done.code == 126
    assert done.complaint == "idaas-sidecar exec: /etc/passwd/command: cannot be executed: Not a directory"


def test_no_command(file: Path) -> None:
    """Without a command `exec` is one line and exit 2."""
    done = execute(file)

    assert done.code == 2
    assert "idaas-sidecar exec: no command; write it after --" in done.complaint


def test_a_cloud_that_refuses(file: Path) -> None:
    """Without credentials the command is not started; why, and the exit code, are as with `get`."""
    settings = json.loads(file.read_text())
    settings["profiles"]["default"]["exchange"]["roleArn"] = "acs:ram::1234567890123456:role/absent"
    file.write_text(json.dumps(settings))
    done = execute(file, sys.executable, "-c", "print('started')")

    assert done.code == 3
    assert done.out == ""
    assert "EntityNotExist" in done.err
