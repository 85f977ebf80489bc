"""Credentials in files: there with the session, replaced whole, gone when it is dropped or not asked for any more."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .processes import EmulatedCloud, Serving, emulator, environment, run, serve, until
from .test_reload import write
from .test_service import ENV, config
from .wire import ask


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    with emulator(home=tmp_path_factory.mktemp("cloud")) as running:
        yield running


def settings(cloud: EmulatedCloud, home: Path, *files: dict[str, str]) -> dict[str, Any]:
    whole = config(cloud)
    whole["server"]["adminSocket"] = str(home / "admin.sock")
    whole["profiles"]["default"]["files"] = files
    return whole


def served(sidecar: Serving) -> dict[str, str]:
    return dict(json.loads(ask(sidecar.urls["credentials"], "/credentials").body))


def order(sidecar: Serving, name: str) -> None:
    home = sidecar.config_path.parent
    assert run(name, "--config", str(sidecar.config_path), env=environment(home, **ENV)).code == 0


def test_they_follow_the_session(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Each format, with its mode under any umask, holds what is served; a refresh replaces it, nothing half is left."""
    os.umask(0)
    ini, uri = tmp_path / "app.ini", tmp_path / "app.json"
    wanted = ({"path": str(ini), "mode": "0640"}, {"path": str(uri), "format": "uri"})
    with serve(settings(cloud, tmp_path, *wanted), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        until(uri.exists)
        first, body = ini.read_text(), served(sidecar)
        order(sidecar, "refresh")
        until(lambda: json.loads(uri.read_text()) == served(sidecar) != body)
        left = sorted(item.name for item in tmp_path.iterdir() if item.name.startswith("app"))
        modes = [oct(item.stat().st_mode & 0o777) for item in (ini, uri)]
    os.umask(0o077)

    assert f"access_key_id = {body['AccessKeyId']}\n" in first
    assert f"security_token = {body['SecurityToken']}\n" in first
    assert ini.read_text() != first
    assert (left, modes) == (["app.ini", "app.json"], ["0o640", "0o600"])


def test_they_go_with_it(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A file that is configured no more is taken away, and with its profile every one."""
    one, other = tmp_path / "one.ini", tmp_path / "other.ini"
    both = settings(cloud, tmp_path, {"path": str(one)}, {"path": str(other)})
    with serve(both, home=tmp_path, env=ENV) as sidecar:
        until(other.exists)
        sidecar.process.event("watching")
        write(sidecar, settings(cloud, tmp_path, {"path": str(one)}))
        sidecar.process.event("config_reloaded")
        order(sidecar, "refresh")
        until(lambda: not other.exists())
        assert one.exists()
        without = settings(cloud, tmp_path)
        without["profiles"]["p2"] = without["profiles"].pop("default")
        write(sidecar, without)
        until(lambda: not one.exists())

    assert sidecar.process.events("files_unusable") == []


def test_a_place_that_is_not_there(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A directory that is missing is one warning, and clients are served all the same; once there, it has the file."""
    path = tmp_path / "volume" / "app.ini"
    with serve(settings(cloud, tmp_path, {"path": str(path)}), home=tmp_path, env=ENV) as sidecar:
        said = sidecar.process.event("files_unusable")
        order(sidecar, "refresh")
        assert len(sidecar.process.events("files_unusable")) == 1
        path.parent.mkdir()
        order(sidecar, "refresh")
        until(path.exists)
        body = served(sidecar)

    assert said["profile"] == "default"
    assert said["message"].startswith(
        f"profiles.default.files[0]: {path}: cannot be written: No such file or directory; does its directory exist"
    )
    assert f"access_key_id = {body['AccessKeyId']}\n" in path.read_text()
