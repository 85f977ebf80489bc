"""
Commands of the pages that need a cloud account, a cluster or systemd: `python -m tests.journeys.stand_ins NAME ...`.

    aliyun      sends a signed call to the RAM of the emulator
    sudo        runs a command as this user, or with -u as a user that useradd made
    useradd     gives a name to a uid
    systemctl   starts a unit: secrets, runtime directory, ExecStartPre, ExecStart, ExecStartPost
    kubectl     see `cluster`

Each accepts only what the pages use, and fails for anything else.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ..e2e.processes import PROGRAM
from ..e2e.users import IMAGE_UID, program_as
from ..setup.ram import RamRefusal, call
from .world import CA_FILE, Places

ROOT = Path(os.environ.get("JOURNEY_ROOT", "/nonexistent"))


CA = ROOT / CA_FILE

SERVICE_USER = "idaas-sidecar"
"""The name of the user that systemd makes for the unit (DynamicUser)."""


def aliyun(arguments: list[str]) -> int:
    """Send one call to RAM: PRODUCT ACTION --Name value ..."""
    product, action, *options = arguments
    names = [name.removeprefix("--") for name in options[::2] if name.startswith("--")]
    try:
        call(os.environ["JOURNEY_CLOUD"], product, action, dict(zip(names, options[1::2], strict=True)))
    except RamRefusal as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


def useradd(arguments: list[str]) -> int:
    """Add a user: --uid UID NAME."""
    option, uid, name = arguments
    assert option == "--uid"
    assert int(uid) >= 1000
    path = ROOT / "users" / name
    path.parent.mkdir(exist_ok=True)
    with path.open("x") as users:
        users.write(uid)
    return 0


def sudo(arguments: list[str]) -> int:
    """Run a command, with -u NAME as another user. The environment stays behind, as with the real sudo."""
    env = {name: value for name, value in os.environ.items() if name.startswith("JOURNEY_")}
    env |= {"PATH": os.environ["PATH"], "HOME": "/", "SSL_CERT_FILE": str(CA)}
    command = arguments
    if arguments[0] == "-u":
        user, command = arguments[1], arguments[2:]
        command = [*(_as_service() if user == SERVICE_USER else _as_user(user)), *command]
        env = {name: value for name, value in env.items() if not name.startswith("JOURNEY_")}
        os.chdir("/")  # other users may not enter the test's directory
    os.execvpe(command[0], command, env)


def _as_user(name: str) -> list[str]:
    uid = (ROOT / "users" / name).read_text()
    return ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", "--"]


def _as_service() -> tuple[str, ...]:
    """Return the command that runs another command as the user of the service."""
    return program_as(IMAGE_UID, home=ROOT / "run")[: -len(PROGRAM)]


def systemctl(arguments: list[str]) -> int:
    """Read the units, or start one."""
    if arguments == ["daemon-reload"]:
        return 0
    *action, name = arguments
    assert action == ["enable", "--now"]
    places = Places(json.loads(os.environ["JOURNEY_PLACES"]))
    unit = _directives(places.here((ROOT / f"etc/systemd/system/{name}.service").read_text()))
    (runtime,) = unit["RuntimeDirectory"]
    directories = {"RUNTIME_DIRECTORY": ROOT / "run" / runtime, "secrets": ROOT / f"run/credentials/{name}.service"}
    for directory in directories.values():
        directory.mkdir(parents=True)
        directory.chmod(0o700)
    for line in unit["LoadCredential"]:
        target, _, source = line.partition(":")
        shutil.copy(source, directories["secrets"] / target)
    env = {"PATH": "/usr/bin:/bin", "RUNTIME_DIRECTORY": str(directories["RUNTIME_DIRECTORY"])}
    env["SSL_CERT_FILE"] = str(CA)
    as_service = _as_service()
    journal = (ROOT / "journal").open("w")
    subprocess.run([*as_service, *_command(unit["ExecStartPre"][0])], env=env, check=True)
    main = subprocess.Popen([*as_service, *_command(unit["ExecStart"][0])], env=env, stdout=journal, stderr=journal)
    after = subprocess.run([*as_service, *_command(unit["ExecStartPost"][0])], env={**env, "MAINPID": str(main.pid)})
    if after.returncode:
        print((ROOT / "journal").read_text(), file=sys.stderr)
    return after.returncode


def _directives(unit: str) -> dict[str, list[str]]:
    """Return the values of each key of a unit. A backslash continues a line."""
    found: dict[str, list[str]] = {}
    for line in unit.replace("\\\n", " ").splitlines():
        name, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def _command(line: str) -> list[str]:
    """Return the arguments of a command line of systemd, in which `$$` stands for a dollar sign."""
    return [part.replace("$$", "$") for part in shlex.split(line)]


def kubectl(arguments: list[str]) -> int:
    """Run one command against the cluster of the page."""
    from . import cluster

    return cluster.run(arguments)


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "aliyun": aliyun,
    "kubectl": kubectl,
    "sudo": sudo,
    "systemctl": systemctl,
    "useradd": useradd,
}

if __name__ == "__main__":
    sys.exit(COMMANDS[sys.argv[1]](sys.argv[2:]))
