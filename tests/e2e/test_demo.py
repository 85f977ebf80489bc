"""Every command works with the configuration of a running `demo`, and with nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from app.cli.arguments.common import examples
from app.cli.parser import build_parser
from app.emulator import World
from app.emulator.world.world import role_arn

from .processes import DEADLINE, PROGRAM, ROOT, Demo, Process, demo, environment, run

COMMANDS = {
    "config": ((), "valid; profiles: default"),
    "config --show": (("--show",), "client-secret"),
    "doctor": ((), "ok       sidecar: default is fresh"),
    "status": ((), "default"),
    "get": ((), '"AccessKeyId": "STS.'),
    "env": ((), "export ALIBABA_CLOUD_CREDENTIALS_URI=http://127.0.0.1:"),
    "exec": (("--", "sh", "-c", "echo $ALIBABA_CLOUD_CREDENTIALS_URI"), "/credentials"),
    "health": ((), ""),
    "health --ready": (("--ready",), ""),
    "setup": ((), "OIDC provider acs:ram::1234567890123456:oidc-provider/idaas-demo"),
    "refresh": ((), "default"),
    "purge": ((), "default"),
    "log-level": (("info",), "info"),
}
"""Each command of the user of a sidecar: its arguments, and a part of what it prints."""

ELSEWHERE = {"serve", "demo", "emulator", "conformance", "migrate", "webhook", "completion", "version", "help"}
"""Commands that start servers, or that need no configuration."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A running demo."""
    with demo(home=tmp_path_factory.mktemp("demo")) as started:
        yield started


@pytest.fixture
def env(running: Demo, tmp_path: Path) -> Mapping[str, str]:
    """The environment of another terminal."""
    return environment(tmp_path, IDAAS_SIDECAR_CONFIG=str(running.config_path))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_works(name: str, env: Mapping[str, str]) -> None:
    """The command succeeds with the variable that the demo prints, without a secret or a CA in the environment."""
    arguments, words = COMMANDS[name]
    done = run(name.split()[0], *arguments, env=env)

    assert done.code == 0, done.out + done.err
    assert words in done.out
    assert "demo-client-secret" not in done.out + done.err


def test_no_command_is_forgotten() -> None:
    """Each command is tried here, or is one of those that use no configuration of a sidecar."""
    assert set(build_parser()[1].choices) == {name.split()[0] for name in COMMANDS} | ELSEWHERE


def test_get_writes_a_file(env: Mapping[str, str], tmp_path: Path) -> None:
    """`get --out` writes the credentials of the demo to a file."""
    target = tmp_path / "credentials.json"
    done = run("get", "--format", "aliyun", "--out", str(target), env=env)

    assert (done.code, done.err) == (0, "")
    assert '"mode": "StsToken"' in target.read_text()


def test_the_secret_is_for_its_owner(running: Demo) -> None:
    """The secret beside the configuration is a file that only its owner can read."""
    assert (running.config_path.parent / "client-secret").stat().st_mode & 0o777 == 0o600


def test_the_last_line_says_what_to_try(tmp_path: Path) -> None:
    """The demo prints the variable for other commands, and its last line is a command that works with it."""
    with Process("demo", "--port", "0", env=environment(tmp_path)) as process:
        last = process.stdout.find(lambda line: line.startswith("Try next"))
        path = process.stdout.find(lambda line: line.startswith("export IDAAS_SIDECAR_CONFIG=")).partition("=")[2]
        done = run(*last.split()[-1:], env=environment(tmp_path, IDAAS_SIDECAR_CONFIG=path))
        printed = process.stdout.lines()
        process.stop()
        logged = process.stderr.lines()

    assert printed[-1] == last
    assert logged
    assert not [line for line in logged if line.startswith("{")], "the log of a demo is text for people"
    assert last.endswith("idaas-sidecar doctor")
    assert done.code == 0, done.out


NOT_RUN = re.compile(
    r"idaas-sidecar (serve|demo|emulator|webhook|migrate|conformance|setup fingerprint|setup cluster)\b|--from |exec --"
)
"""Examples that start servers, or that need the Internet, a cluster or files of the reader."""

EXAMPLES = [
    example
    for name, command in build_parser()[1].choices.items()
    for example in examples(command)
    if not NOT_RUN.search(example)
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_help_work(example: str, running: Demo, env: Mapping[str, str], tmp_path: Path) -> None:
    """A shell runs the example beside the demo, in a directory that has the files which the example names."""
    (tmp_path / "deploy").mkdir()
    (tmp_path / ".config/fish/completions").mkdir(parents=True)
    for name in ("config.json", "deploy/config.json"):
        shutil.copy(running.config_path, tmp_path / name)
    (tmp_path / "role.json").write_text(
        json.dumps(World.default(issuer=issuer_of(running)).roles[role_arn("default")].trust_policy)
    )
    before = f'idaas-sidecar() {{ {" ".join(PROGRAM)} "$@"; }}; fpath=("" "{tmp_path}")'
    done = subprocess.run(
        ["bash", "-e", "-c", f"{before}\n{example}"],
        cwd=tmp_path,
        env={**env, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def issuer_of(running: Demo) -> str:
    """Return the issuer of the demo's cloud."""
    issuer: str = json.loads(running.config_path.read_text())["profiles"]["default"]["identity"]["issuer"]
    return issuer
