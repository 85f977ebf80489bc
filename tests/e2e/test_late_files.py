"""Files that another program writes after the start: secrets, executables, the IDaaS SDK's file, the path token."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from app.emulator.world.world import WORKLOAD_PROVIDER_ARN

from .cloud import ENV, config, replace_config, workload_token
from .gates import GATES, failed_start
from .processes import (
    DEADLINE,
    PROGRAM,
    ROOT,
    EmulatedCloud,
    Process,
    environment,
    serve,
    wait_until,
)

pytestmark = pytest.mark.usefixtures("clear_faults")


def late_files(cloud: EmulatedCloud, directory: Path) -> dict[str, Any]:
    """Return a configuration whose client secret and CA come from files that do not exist yet."""
    settings = config(cloud, tls={"caFile": str(directory / "late" / "ca.pem")})
    identity = settings["profiles"]["default"]["identity"]
    identity["tokenEndpoint"] = f"{cloud.tls_url}/api/v2/iauths_system/oauth2/token"
    identity["authnConfiguration"] = {
        "authnMethod": "CLIENT_SECRET_POST",
        "clientSecretFile": str(directory / "late" / "secret"),
    }
    return settings


def test_files_that_appear_late(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A secret and a CA that another program writes after the start are used as soon as they exist."""
    with serve(late_files(cloud, tmp_path), home=tmp_path, env={}) as sidecar:
        failed = sidecar.process.event("refresh_failed")
        (tmp_path / "late").mkdir()
        (tmp_path / "late" / "secret").touch(0o600)
        (tmp_path / "late" / "ca.pem").write_bytes(cloud.ca_file.read_bytes())
        (tmp_path / "late" / "secret").write_text(ENV["DEMO_SECRET"])

        sidecar.process.event("credentials_issued")
        warned = [line["message"] for line in sidecar.process.events("configuration")]

    assert "secret: no such file" in failed["error"]
    assert failed["permanent"] is False
    assert len([line for line in warned if "no such file" in line]) == 2


def test_file_without_a_directory_that_appears_after_a_reload(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A changed file may name a secret in the working directory that does not exist yet: it is used when it does."""
    settings = late_files(cloud, tmp_path)
    del settings["tls"]
    identity = settings["profiles"]["default"]["identity"]
    identity["tokenEndpoint"] = f"{cloud.url}/api/v2/iauths_system/oauth2/token"
    method = identity["authnConfiguration"]
    first = tmp_path / "first"
    for name in ("first", "second-draft"):
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_text(ENV["DEMO_SECRET"])
    method["clientSecretFile"] = str(first)
    program = ("env", "-C", str(tmp_path), *PROGRAM)
    with serve(settings, home=tmp_path, env={"PYTHONPATH": str(ROOT)}, program=program) as sidecar:
        sidecar.process.event("credentials_issued")
        method["clientSecretFile"] = "second"
        replace_config(sidecar, settings)
        sidecar.process.event("config_reloaded")
        (tmp_path / "second-draft").rename(tmp_path / "second")

        wait_until(lambda: len(sidecar.process.events("credentials_issued")) >= 2)


def test_files_that_never_appear(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """When the gate is over and the secret still does not exist, the exit code is 4, so that a unit is restarted."""
    start = failed_start(late_files(cloud, tmp_path), home=tmp_path, env={})

    assert "no such file" in start.failed["error"]
    assert start.code == 4


def test_command_that_appears_late(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A program that an init container or an agent installs after the start prints the token as soon as it exists."""
    settings = config(cloud)
    program, draft = tmp_path / "print-token", tmp_path / "draft"
    settings["profiles"]["default"]["identity"] = {"type": "command", "command": [str(program)]}
    settings["profiles"]["default"]["exchange"]["oidcProviderArn"] = WORKLOAD_PROVIDER_ARN
    with serve(settings, home=tmp_path, env=ENV) as sidecar:
        failed = sidecar.process.event("refresh_failed")
        draft.write_text(f"#!/bin/sh\necho {workload_token(cloud)}\n")
        draft.chmod(0o755)
        draft.rename(program)

        sidecar.process.event("credentials_issued")
        warned = [line["message"] for line in sidecar.process.events("configuration")]

    assert f"{program}: cannot be started: No such file or directory" in failed["error"]
    assert failed["permanent"] is False
    assert [line for line in warned if f"{program}: no such file; waiting for the program that writes it" in line]


def test_command_that_is_copied(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A program whose mode is set after its content, as a download does, prints the token as soon as it may run."""
    settings = config(cloud, startup={"timeoutSeconds": 600})
    program = tmp_path / "print-token"
    program.touch(0o600)
    program.write_text(f"#!/bin/sh\necho {workload_token(cloud)}\n")
    settings["profiles"]["default"]["identity"] = {"type": "command", "command": [str(program)]}
    settings["profiles"]["default"]["exchange"]["oidcProviderArn"] = WORKLOAD_PROVIDER_ARN
    with serve(settings, home=tmp_path, env=ENV) as sidecar:
        failed = sidecar.process.event("refresh_failed")
        program.chmod(0o700)

        sidecar.process.event("credentials_issued")
        warned = [line["message"] for line in sidecar.process.events("configuration")]

    assert (failed["permanent"], failed["error_code"]) == (False, "IDS-123")
    assert f"{program}: not executable by this user" in failed["error"]
    assert [line for line in warned if f"{program}: not executable by this user" in line]


def test_command_that_is_never_complete(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """When the gate is over and the program still may not run, the exit code is 4."""
    settings = config(cloud)
    program = tmp_path / "print-token"
    program.touch(0o600)
    program.write_text("#!/bin/sh\n")
    settings["profiles"]["default"]["identity"] = {"type": "command", "command": [str(program)]}
    start = failed_start(settings, home=tmp_path, env=ENV)

    assert f"{program}: not executable by this user" in start.failed["error"]
    assert start.code == 4


def of_sdk_file(cloud: EmulatedCloud, path: Path) -> dict[str, Any]:
    """Return a profile whose identity is in the IDaaS SDK's file at `path`."""
    return {**config(cloud)["profiles"]["default"], "identity": {"clientConfigPath": str(path)}}


def test_sdk_file_that_appears_late(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A Vault agent may write the IDaaS SDK's file, which has the client's identity: the start waits for it."""
    path, late = tmp_path / "config.json", tmp_path / "late"
    path.write_text(json.dumps(config(cloud, profiles={"default": of_sdk_file(cloud, late)})))
    with Process("serve", "--config", str(path), env=environment(tmp_path, **ENV)) as process:
        process.stderr.find(lambda line: "late: no such file; waiting for the program that writes it" in line)
        draft = tmp_path / "draft"
        draft.write_text(json.dumps(config(cloud)["profiles"]["default"]["identity"]))
        draft.rename(late)

        process.event("credentials_issued")
        late.unlink()
        process.send(signal.SIGHUP)
        refused = process.event("config_reload_failed")
        assert (refused["error_code"], f"{late}: no such file" in refused["error"]) == ("IDS-124", True)
        late.write_text(json.dumps(config(cloud)["profiles"]["default"]["identity"]))
        process.event("config_reloaded")
        assert process.stop() == 0


def test_path_token_that_appears_late(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Without its path token nothing is served: the start waits for the file."""
    path, secret = tmp_path / "config.json", tmp_path / "path-token"
    path.write_text(json.dumps(config(cloud, access={"pathToken": {"file": str(secret)}})))
    with Process("serve", "--config", str(path), env=environment(tmp_path, **ENV)) as process:
        process.stderr.find(lambda line: "path-token: no such file" in line and "waiting for" in line)
        draft = tmp_path / "draft"
        draft.touch(0o600)
        draft.write_text("0123456789abcdef")
        draft.rename(secret)

        process.event("credentials_issued")
        assert process.stop() == 0


@pytest.mark.parametrize("needed", ["path token", "cache key", "the SDK's file"])
def test_file_of_the_listeners_that_never_appears(needed: str, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """The start says once what it waits for, and ends with exit code 4 after `startup.timeoutSeconds`."""
    (tmp_path / "cache").mkdir(0o700)
    parts: dict[str, dict[str, Any]] = {
        "path token": {"access": {"pathToken": {"file": str(tmp_path / "late")}}},
        "cache key": {"cache": {"directory": str(tmp_path / "cache"), "keyFile": str(tmp_path / "late")}},
        "the SDK's file": {"profiles": {"default": of_sdk_file(cloud, tmp_path / "late")}},
    }
    path = tmp_path / "config.json"
    for seconds in GATES:
        path.write_text(json.dumps(config(cloud, startup={"timeoutSeconds": seconds}, **parts[needed])))
        with Process("serve", "--config", str(path), env=environment(tmp_path, **ENV)) as process:
            code = process.wait(seconds + DEADLINE)
            lines = [line for line in process.stderr.lines() if "late" in line]
        waiting = [line for line in lines if "waiting for the program that writes it" in line]
        if waiting:  # else the time was over after the first look: the machine is busy
            break

    assert (code, len(waiting)) == (4, 1)
    assert "late: no such file" in lines[-1]


def test_sigterm_before_the_files_of_the_listeners(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """SIGTERM ends the wait for a path token with exit code 4 and the reason."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config(cloud, access={"pathToken": {"file": str(tmp_path / "late")}})))
    with Process("serve", "--config", str(path), env=environment(tmp_path, **ENV)) as process:
        wait_until(lambda: any("waiting for" in line for line in process.stderr.lines()))

        process.send(signal.SIGTERM)
        assert process.wait() == 4
        assert "late: no such file" in process.stderr.lines()[-1]
