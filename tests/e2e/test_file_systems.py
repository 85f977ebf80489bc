"""File systems that hang, and changes that the kernel does not report."""

from __future__ import annotations

import contextlib
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from app.emulator.world.world import WORKLOAD_PROVIDER_ARN

from ..ports import unused_port
from .cloud import ENV, config, replace_config, served_key, workload_token
from .file_systems import hang, hanging, hanging_at_read, logging_to_hanging_file, needs_fuse, without_inotify
from .processes import EmulatedCloud, Process, RunningSidecar, environment, run, serve, wait_until
from .wire import fetch

HANGING_PROFILES = 12
"""More than Python's shared thread pool has threads, and than the bound of one directory."""


def token_profile(cloud: EmulatedCloud, token: Path) -> dict[str, Any]:
    """Return a profile that proves its identity with a token file."""
    profile = config(cloud)["profiles"]["default"]
    profile["identity"] = {"type": "tokenFile", "tokenFile": str(token)}
    profile["exchange"]["oidcProviderArn"] = WORKLOAD_PROVIDER_ARN
    profile["required"] = False
    return dict(profile)


def write_token(cloud: EmulatedCloud, path: Path) -> None:
    """Write a new token of the emulated cluster."""
    path.write_text(workload_token(cloud))


def stalled(sidecar: RunningSidecar) -> set[str]:
    """Return the profiles whose token file did not answer."""
    failed = sidecar.process.events("refresh_failed")
    return {line["profile"] for line in failed if "the file system did not answer within" in line["error"]}


def retrying(cloud: EmulatedCloud, home: Path) -> dict[str, Any]:
    """Return a configuration that tries again within ten seconds, with an admin socket in `home`."""
    found = config(cloud)
    found["server"]["adminSocket"] = str(home / "admin.sock")
    found["refresh"] = {"maxRetrySeconds": 10, "permanentRetrySeconds": 10}
    return found


@needs_fuse
def test_hanging_file_system(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """
    A file system that hangs costs the profiles whose files it holds, and nothing else.

    Requests, metrics, other token files, reloads, SIGHUP and the end of the process go on.
    """
    hung, healthy, switch = tmp_path / "hung", tmp_path / "healthy", tmp_path / "switch"
    hung.mkdir()
    healthy.mkdir()
    settings = retrying(cloud, tmp_path)
    settings["profiles"]["healthy"] = token_profile(cloud, healthy / "token")
    for number in range(HANGING_PROFILES):
        settings["profiles"][f"hung{number}"] = token_profile(cloud, hung / f"token{number}")
    write_token(cloud, healthy / "token")
    with serve(settings, home=tmp_path, env=ENV, program=hanging(hung, switch)) as sidecar:
        for name in ("default", "healthy"):
            sidecar.process.event("credentials_issued", profile=name)
        sidecar.process.event("watching")
        hang(switch)
        for _ in range(50):
            sidecar.process.send(signal.SIGHUP)
        sidecar.process.event("config_reloaded")
        wait_until(lambda: stalled(sidecar) == {f"hung{number}" for number in range(HANGING_PROFILES)})
        before = served_key(sidecar, "healthy")
        flags = ("--config", str(sidecar.config_path), "--profile", "healthy")
        refreshed = run("refresh", *flags, env=environment(tmp_path, **ENV))
        after = served_key(sidecar, "healthy")
        metrics = fetch(sidecar.urls["ops"], "/metrics")
        write_token(cloud, healthy / "token")
        changed = sidecar.process.event("files_changed", files=[str(healthy / "token")])
        replace_config(sidecar, settings | {"access": {"browsers": "allow"}})
        wait_until(lambda: any(line["changes"] for line in sidecar.process.events("config_reloaded")))

        assert (refreshed.code, refreshed.err) == (0, "")
        assert before != after
        assert metrics.status == 200
        assert changed["level"] == "info"
        assert sidecar.process.stop() == 0


@needs_fuse
def test_hanging_interpreter(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A command that answers, with an interpreter that hangs, stops no request and not the end of the process."""
    hung, switch, script = tmp_path / "hung", tmp_path / "switch", tmp_path / "command"
    hung.mkdir()
    (hung / "sh").symlink_to("/bin/sh")
    script.write_text(f"""#!{hung}/sh\necho '{{"error": "busy"}}'\n""")
    script.chmod(0o755)
    settings = config(cloud)
    settings["server"]["adminSocket"] = str(tmp_path / "admin.sock")
    settings["profiles"]["command"] = token_profile(cloud, hung)
    settings["profiles"]["command"]["identity"] = {"type": "command", "command": [str(script)]}
    with serve(settings, home=tmp_path, env=ENV, program=hanging(hung, switch)) as sidecar:
        sidecar.process.event("credentials_issued", profile="default")
        assert "busy" in sidecar.process.event("refresh_failed", profile="command")["error"]
        sidecar.process.event("watching")
        hang(switch)
        flags = ("--config", str(sidecar.config_path), "--profile", "command")
        refreshed = run("refresh", *flags, env=environment(tmp_path, **ENV))

        assert f"{script}: the file system did not answer" in refreshed.out
        assert served_key(sidecar, "default")
        assert sidecar.process.stop() == 0


@needs_fuse
def test_hanging_configuration(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """While the configuration's file system hangs, a reload changes nothing, names the place, and stops no request."""
    home, switch = tmp_path / "home", tmp_path / "switch"
    home.mkdir()
    with serve(config(cloud), home=home, env=ENV, program=hanging(home, switch)) as sidecar:
        sidecar.process.event("credentials_issued")
        sidecar.process.event("watching")
        before = served_key(sidecar, "default")
        hang(switch)
        sidecar.process.send(signal.SIGHUP)
        failed = sidecar.process.event("config_reload_failed")

        assert str(home) in failed["error"]
        assert served_key(sidecar, "default") == before
        assert sidecar.process.stop() == 0


@needs_fuse
def test_start_beside_a_hanging_file_system(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A secret whose file system hangs at the start costs its own profile alone."""
    hung, switch = tmp_path / "hung", tmp_path / "switch"
    hung.mkdir()
    settings = config(cloud)
    other = json.loads(json.dumps(settings["profiles"]["default"])) | {"required": False}
    method = {"authnMethod": "CLIENT_SECRET_POST", "clientSecretFile": str(hung / "secret")}
    other["identity"]["authnConfiguration"] = method
    settings["profiles"]["other"] = other
    switch.write_text("")
    with serve(settings, home=tmp_path, env=ENV, program=hanging(hung, switch)) as sidecar:
        sidecar.process.event("credentials_issued", profile="default")
        failed = sidecar.process.event("refresh_failed", profile="other")

        assert "clientSecretFile" in failed["error"]
        assert sidecar.process.stop() == 0


@needs_fuse
def test_hanging_files_of_the_same_server(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """However many files of profiles hang, a profile of the same server whose file answers does not wait for them."""
    hung, healthy, switch = tmp_path / "hung", tmp_path / "token", tmp_path / "switch"
    hung.mkdir()
    write_token(cloud, healthy)
    names = [f"hung{number}" for number in range(100)]
    profiles = {name: token_profile(cloud, hung / name) for name in names}
    settings = config(cloud, profiles=profiles | {"healthy": token_profile(cloud, healthy)})
    settings["startup"] = {"gate": "listening"}
    switch.write_text("")
    with serve(settings, home=tmp_path, env=ENV, program=hanging(hung, switch)) as sidecar:
        sidecar.process.event("credentials_issued", profile="healthy")

        assert len(stalled(sidecar)) < len(names) / 2
        assert sidecar.process.stop() == 0


@needs_fuse
@pytest.mark.parametrize("at_start", [False, True])
def test_links_into_a_hanging_file_system(at_start: bool, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Token files that are links into a place that hangs do not delay another profile's file in their directory."""
    hung, tokens, switch = tmp_path / "hung", tmp_path / "tokens", tmp_path / "switch"
    hung.mkdir()
    tokens.mkdir()
    settings = retrying(cloud, tmp_path)
    settings["profiles"]["healthy"] = token_profile(cloud, tokens / "token")
    for number in range(HANGING_PROFILES):
        link = tokens / f"link{number}"
        link.symlink_to(hung / link.name)
        settings["profiles"][link.name] = token_profile(cloud, link)
    write_token(cloud, tokens / "token")
    if at_start:
        switch.write_text("")
    with serve(settings, home=tmp_path, env=ENV, program=hanging(hung, switch)) as sidecar:
        sidecar.process.event("credentials_issued", profile="healthy")
        sidecar.process.event("watching")
        if not at_start:
            hang(switch)
        replace_config(sidecar, settings | {"access": {"browsers": "allow"}})
        sidecar.process.event("config_reloaded")
        wait_until(lambda: stalled(sidecar) == {f"link{number}" for number in range(HANGING_PROFILES)})
        flags = ("--config", str(sidecar.config_path), "--profile", "healthy")
        refreshed = run("refresh", *flags, env=environment(tmp_path, **ENV))

        assert (refreshed.code, refreshed.err) == (0, "")
        assert sidecar.process.stop() == 0


@needs_fuse
def test_hanging_directory_of_cas(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A directory of SSL_CERT_DIR that hangs stops no request: the CAs that were read before go on to count."""
    hung, switch = tmp_path / "hung", tmp_path / "switch"
    hung.mkdir()
    (hung / "0a1b2c3d.0").write_bytes(cloud.ca_file.read_bytes())
    settings = retrying(cloud, tmp_path)
    with_tls = config(cloud)["profiles"]["default"]
    with_tls["exchange"]["endpoints"] = [cloud.tls_url]
    settings["profiles"]["tls"] = with_tls
    env = {**ENV, "SSL_CERT_DIR": str(hung)}
    with serve(settings, home=tmp_path, env=env, program=hanging(hung, switch)) as sidecar:
        for name in ("default", "tls"):
            sidecar.process.event("credentials_issued", profile=name)
        hang(switch)
        flags = ("--config", str(sidecar.config_path), "--profile")
        codes = [run("refresh", *flags, name, env=environment(tmp_path, **ENV)).code for name in ("tls", "default")]
        settings["profiles"]["new"] = with_tls | {"required": False}
        settings["profiles"]["new"]["exchange"] = with_tls["exchange"] | {"connection": {"proxy": "none"}}
        replace_config(sidecar, settings)
        error = sidecar.process.event("refresh_failed", profile="new")["error"]

        assert codes == [0, 0]
        assert f"SSL_CERT_DIR: {hung}: the file system did not answer" in error
        assert served_key(sidecar, "tls")
        assert sidecar.process.stop() == 0


@needs_fuse
@pytest.mark.parametrize("key", ["clientConfigPath", "pathToken", "keyFile"])
def test_start_whose_own_files_hang(key: str, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A start that needs a file whose file system hangs waits for it, within the start gate; then it ends with 4."""
    hung, switch, path = tmp_path / "hung", tmp_path / "switch", tmp_path / "config.json"
    hung.mkdir()
    settings = config(cloud)
    match key:
        case "clientConfigPath":
            settings["profiles"]["default"]["identity"] = {"type": "idaas", key: str(hung / "client.json")}
        case "pathToken":
            settings["access"] = {key: {"file": str(hung / "token")}}
        case "keyFile":
            settings["cache"] = {"directory": str(tmp_path / "cache"), key: str(hung / "key")}
    path.write_text(json.dumps(settings))
    switch.write_text("")
    command = ("serve", "--config", str(path))
    with Process(*command, env=environment(tmp_path, **ENV), program=hanging(hung, switch)) as process:
        process.stderr.find(lambda line: "the file system does not answer; waiting for it" in line)
        process.send(signal.SIGTERM)

        assert process.wait() == 4


@needs_fuse
def test_hanging_admin_socket(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """An admin socket in a directory that hangs ends the start with its key and path."""
    hung, switch, path = tmp_path / "hung", tmp_path / "switch", tmp_path / "config.json"
    hung.mkdir()
    switch.write_text("")
    settings = config(cloud)
    settings["server"]["adminSocket"] = str(hung / "admin.sock")
    path.write_text(json.dumps(settings))
    program = hanging(hung, switch)
    ended = run("serve", "--config", str(path), env=environment(tmp_path, **ENV), program=program)

    assert ended.code == 2
    assert f"server.adminSocket: {hung}/admin.sock: the file system did not answer" in ended.error_line


@needs_fuse
def test_hanging_runtime_directory(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A hanging runtime directory costs the kept key of session tokens; a path token in it ends the start."""
    hung, switch, path = tmp_path / "hung", tmp_path / "switch", tmp_path / "config.json"
    hung.mkdir()
    switch.write_text("")
    variables = ENV | {"XDG_RUNTIME_DIR": str(hung)}
    settings = config(cloud)
    settings["server"]["bind"] = f"127.0.0.1:{unused_port()}"
    required = settings | {"access": {"metadataTokens": "required"}}
    with serve(required, home=tmp_path, env=variables, program=hanging(hung, switch)) as sidecar:
        lost = sidecar.process.event("session_key_lost")
        sidecar.process.event("credentials_issued")
        assert lost["error"] == "the runtime directory: the file system did not answer within 5 s"
        assert served_key(sidecar, "default")
        assert sidecar.process.stop() == 0

    switch.with_name("switch-done").rename(switch)
    path.write_text(json.dumps(settings | {"access": {"pathToken": "generate"}}))
    ended = run("serve", "--config", str(path), env=environment(tmp_path, **variables), program=hanging(hung, switch))

    assert ended.code == 2
    assert "access.pathToken: the file system did not answer within 5 s" in ended.error_line


@needs_fuse
def test_log_to_a_hanging_file(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A log in a file whose file system hangs at its first line stops no request, and not the end of the process."""
    hung, path = tmp_path / "hung", tmp_path / "config.json"
    hung.mkdir()
    address = f"127.0.0.1:{unused_port()}"
    path.write_text(json.dumps(config(cloud) | {"server": {"bind": address, "ops": None}}))
    program = logging_to_hanging_file(hung)

    def is_served() -> bool:
        with contextlib.suppress(OSError):
            return fetch(f"http://{address}", "/credentials/default").status == 200
        return False

    with Process("serve", "--config", str(path), env=environment(tmp_path, **ENV), program=program) as process:
        wait_until(is_served)

        assert process.stop() == 0


@needs_fuse
def test_secret_that_hangs_at_its_first_read(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A secret that can be looked at, but not read, costs its own profile alone: at the start, and at a reload."""
    hung = tmp_path / "hung"
    hung.mkdir()
    settings = config(cloud)
    other = json.loads(json.dumps(settings["profiles"]["default"])) | {"required": False}
    method = {"authnMethod": "CLIENT_SECRET_POST", "clientSecretFile": str(hung / "secret")}
    other["identity"]["authnConfiguration"] = method
    settings["profiles"]["other"] = other
    with serve(settings, home=tmp_path, env=ENV, program=hanging_at_read(hung)) as sidecar:
        sidecar.process.event("credentials_issued", profile="default")
        sidecar.process.event("watching")
        replace_config(sidecar, settings | {"access": {"browsers": "allow"}})
        reloaded = sidecar.process.event("config_reloaded")
        failed = sidecar.process.event("refresh_failed", profile="other")

        assert reloaded["changes"]
        assert "clientSecretFile" in failed["error"]
        assert sidecar.process.stop() == 0


@needs_fuse
def test_end_beside_a_hanging_cache(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A cache directory that hangs does not keep the process from ending."""
    cache, switch = tmp_path / "cache", tmp_path / "switch"
    cache.mkdir(mode=0o700)
    settings = config(cloud) | {"cache": {"directory": str(cache), "keyEnvVarName": "CACHE_KEY"}}
    settings["server"]["adminSocket"] = str(tmp_path / "admin.sock")
    env = {**ENV, "CACHE_KEY": "0123456789abcdef" * 4}
    with serve(settings, home=tmp_path, env=env, program=hanging(cache, switch)) as sidecar:
        sidecar.process.event("credentials_issued")
        sidecar.process.event("watching")
        hang(switch)
        refreshed = run("refresh", "--config", str(sidecar.config_path), env=environment(tmp_path, **env))

        assert refreshed.code == 0
        assert sidecar.process.stop() == 0


@needs_fuse
def test_hanging_credential_file(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A credential file on a disk that hangs is reported, and those of the other profiles are written."""
    hung, switch, healthy = tmp_path / "hung", tmp_path / "switch", tmp_path / "credentials.json"
    hung.mkdir()
    settings = config(cloud)
    settings["server"]["adminSocket"] = str(tmp_path / "admin.sock")
    profiles = settings["profiles"]
    profiles["hung"] = profiles["default"] | {"files": [{"path": str(hung / healthy.name), "format": "json"}]}
    profiles["default"] = profiles["default"] | {"files": [{"path": str(healthy), "format": "json"}]}
    with serve(settings, home=tmp_path, env=ENV, program=hanging(hung, switch)) as sidecar:
        for name in profiles:
            sidecar.process.event("credentials_issued", profile=name)
        wait_until(healthy.exists)
        hang(switch)
        for name in profiles:
            run("purge", "--config", str(sidecar.config_path), "--profile", name, env=environment(tmp_path, **ENV))
        wait_until(lambda: healthy.exists() and served_key(sidecar, "default") in healthy.read_text())
        failed = sidecar.process.event("files_unusable", profile="hung")

        assert "did not answer" in failed["message"]
        assert sidecar.process.stop() == 0


def test_token_file_without_inotify(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """With the limit of inotify instances used up, a token file is found soon after it is written; said once."""
    token = tmp_path / "volume" / "token"
    settings = config(cloud) | {"startup": {"gate": "listening"}}
    settings["refresh"] = {"permanentRetrySeconds": 3600}
    settings["profiles"] = {"default": token_profile(cloud, token)}
    with serve(settings, home=tmp_path, env=ENV, program=without_inotify()) as sidecar:
        sidecar.process.event("refresh_failed")
        sidecar.process.event("watching")
        token.parent.mkdir()
        write_token(cloud, token)
        sidecar.process.event("credentials_issued")

        assert len(sidecar.process.events("files_not_watched")) == 1
