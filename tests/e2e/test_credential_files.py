"""Credential files: written with each session, replaced as a whole, removed with their configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .cloud import ENV, config, replace_config
from .processes import EmulatedCloud, RunningSidecar, environment, run, serve, wait_until
from .wire import fetch


def settings(cloud: EmulatedCloud, home: Path, *files: dict[str, str]) -> dict[str, Any]:
    """Return a configuration whose profile writes these files."""
    configuration = config(cloud)
    configuration["server"]["adminSocket"] = str(home / "admin.sock")
    configuration["profiles"]["default"]["files"] = files
    return configuration


def served(sidecar: RunningSidecar) -> dict[str, str]:
    """Return the credentials that the sidecar serves."""
    return dict(json.loads(fetch(sidecar.urls["credentials"], "/credentials").body))


def refresh(sidecar: RunningSidecar) -> None:
    """Run the refresh command."""
    home = sidecar.config_path.parent
    assert run("refresh", "--config", str(sidecar.config_path), env=environment(home, **ENV)).code == 0


@pytest.mark.usefixtures("lax_umask")
def test_files_follow_the_session(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Each file has its format, its mode under any umask and the served session; a refresh replaces it as a whole."""
    ini, uri = tmp_path / "app.ini", tmp_path / "app.json"
    entries = ({"path": str(ini), "mode": "0640"}, {"path": str(uri), "format": "uri"})
    with serve(settings(cloud, tmp_path, *entries), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        wait_until(uri.exists)
        first_text, body = ini.read_text(), served(sidecar)
        refresh(sidecar)
        wait_until(lambda: json.loads(uri.read_text()) == served(sidecar) != body)
        names = sorted(item.name for item in tmp_path.iterdir() if item.name.startswith("app"))
        modes = [oct(item.stat().st_mode & 0o777) for item in (ini, uri)]

    assert f'"access_key_id": "{body["AccessKeyId"]}"' in first_text
    assert f'"sts_token": "{body["SecurityToken"]}"' in first_text
    assert ini.read_text() != first_text
    assert (names, modes) == (["app.ini", "app.json"], ["0o640", "0o600"])


def test_files_are_removed_with_their_configuration(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A file that is no longer configured is removed, and so are the files of a removed profile."""
    one, other = tmp_path / "one.ini", tmp_path / "other.ini"
    both = settings(cloud, tmp_path, {"path": str(one)}, {"path": str(other)})
    with serve(both, home=tmp_path, env=ENV) as sidecar:
        wait_until(other.exists)
        sidecar.process.event("watching")
        replace_config(sidecar, settings(cloud, tmp_path, {"path": str(one)}))
        sidecar.process.event("config_reloaded")
        refresh(sidecar)
        wait_until(lambda: not other.exists())
        assert one.exists()
        without = settings(cloud, tmp_path)
        without["profiles"]["p2"] = without["profiles"].pop("default")
        replace_config(sidecar, without)
        wait_until(lambda: not one.exists())

    assert sidecar.process.events("files_unusable") == []


def test_missing_directory(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A missing directory gives one warning and no failed request; the file is written once the directory exists."""
    path = tmp_path / "volume" / "app.ini"
    with serve(settings(cloud, tmp_path, {"path": str(path)}), home=tmp_path, env=ENV) as sidecar:
        warning = sidecar.process.event("files_unusable")
        refresh(sidecar)
        assert len(sidecar.process.events("files_unusable")) == 1
        path.parent.mkdir()
        refresh(sidecar)
        wait_until(path.exists)
        body = served(sidecar)

    assert warning["profile"] == "default"
    assert warning["message"].startswith(
        f"profiles.default.files[0]: {path}: cannot be written: No such file or directory; create its directory"
    )
    assert f'"access_key_id": "{body["AccessKeyId"]}"' in path.read_text()
