"""Metadata session tokens across restarts: their key is kept, or named and replaced where it was lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ..ports import unused_port
from .cached_sidecar import CACHE_ENV, entry, kill, settings
from .processes import (
    EmulatedCloud,
    RunningSidecar,
    serve,
    wait_until,
)
from .wire import fetch

pytestmark = pytest.mark.usefixtures("clear_faults")


TTL = "X-aliyun-ecs-metadata-token-ttl-seconds: 21600"


ROLE = "/latest/meta-data/ram/security-credentials/default"


@pytest.mark.parametrize(("tokens", "listener"), [("required", "bind"), ("optional", "bind"), ("required", "metadata")])
def test_metadata_session_tokens_without_a_cache(
    cloud: EmulatedCloud, tmp_path: Path, tokens: str, listener: str
) -> None:
    """A token outlives a restart without a cache if one listener has a fixed port; no key is kept for optional ones."""
    port = unused_port()
    wanted = settings(cloud, tmp_path, access={"metadataTokens": tokens})
    del wanted["cache"]
    wanted["server"][listener] = f"127.0.0.1:{port}"
    name = "credentials" if listener == "bind" else "metadata"
    variables = CACHE_ENV | {"XDG_RUNTIME_DIR": str(tmp_path)}
    with serve(wanted, home=tmp_path, env=variables) as sidecar:
        token = fetch(sidecar.urls[name], "/latest/api/token", TTL, method="PUT").body.decode()
        kill(sidecar)
    with serve(wanted, home=tmp_path, env=variables) as sidecar:
        sidecar.process.event("credentials_issued")
        found = fetch(sidecar.urls[name], ROLE, f"X-aliyun-ecs-metadata-token: {token}").status

    assert found == 200
    assert (tmp_path / "idaas-sidecar" / f"session-key-{port}").exists() is (tokens == "required")


def test_session_key_that_was_emptied(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A key file that was emptied is named once, and a new key replaces it, so that later restarts keep tokens."""
    port = unused_port()
    wanted = settings(cloud, tmp_path, access={"metadataTokens": "required"})
    del wanted["cache"]
    wanted["server"]["bind"] = f"127.0.0.1:{port}"
    variables = CACHE_ENV | {"XDG_RUNTIME_DIR": str(tmp_path)}
    path = tmp_path / "idaas-sidecar" / f"session-key-{port}"
    tokens = []
    for start in range(3):
        if start == 1:
            path.write_text("")
        with serve(wanted, home=tmp_path, env=variables) as sidecar:
            sidecar.process.event("credentials_issued")
            statuses = [
                fetch(sidecar.urls["credentials"], ROLE, f"X-aliyun-ecs-metadata-token: {token}").status
                for token in tokens
            ]
            tokens.append(fetch(sidecar.urls["credentials"], "/latest/api/token", TTL, method="PUT").body.decode())
            lost = [line["error"] for line in sidecar.process.events("session_key_lost")]
            kill(sidecar)
        assert statuses == [[], [401], [401, 200]][start]
        assert lost == [[], [f"{path}: has lost its content; a new key replaces it"], []][start]


def test_instance_of_the_cache_that_was_emptied(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """The cache's part of that key is named and replaced in the same way, and the session is restored all the same."""
    wanted = settings(cloud, tmp_path, access={"metadataTokens": "required"})
    with serve(wanted, home=tmp_path, env=CACHE_ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        wait_until(entry(tmp_path).exists)
        kill(sidecar)
    (seed,) = tmp_path.rglob("instance")
    seed.write_text("")
    for expected in (1, 0):
        with serve(wanted, home=tmp_path, env=CACHE_ENV) as sidecar:
            sidecar.process.event("credentials_restored")
            lost = sidecar.process.events("session_key_lost")
            kill(sidecar)
        assert len(lost) == expected
        assert all(line["error"] == f"{seed}: has lost its content; a new key replaces it" for line in lost)


def test_metadata_session_tokens_required_by_a_reload(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """After a reload that requires tokens, tokens of before and after stay valid, the new ones also after a restart."""
    port = unused_port()
    optional = settings(cloud, tmp_path)
    del optional["cache"]
    optional["server"]["bind"] = f"127.0.0.1:{port}"
    required = optional | {"access": {"metadataTokens": "required"}}
    variables = CACHE_ENV | {"XDG_RUNTIME_DIR": str(tmp_path)}

    def token(sidecar: RunningSidecar) -> str:
        return fetch(sidecar.urls["credentials"], "/latest/api/token", TTL, method="PUT").body.decode()

    def status(sidecar: RunningSidecar, value: str) -> int:
        return fetch(sidecar.urls["credentials"], ROLE, f"X-aliyun-ecs-metadata-token: {value}").status

    with serve(optional, home=tmp_path, env=variables) as sidecar:
        sidecar.process.event("credentials_issued")
        before = token(sidecar)
        (tmp_path / "config.json").write_text(json.dumps(required))
        sidecar.process.event("config_reloaded")
        after = token(sidecar)
        assert [status(sidecar, value) for value in (before, after, "none")] == [200, 200, 401]
        kill(sidecar)
    with serve(required, home=tmp_path, env=variables) as sidecar:
        sidecar.process.event("credentials_issued")
        assert status(sidecar, after) == 200


def test_metadata_session_tokens(
    cloud: EmulatedCloud, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """After a restart a metadata session token is still accepted; a token of another sidecar is rejected."""
    required = {"access": {"metadataTokens": "required"}}
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    tokens = []
    for directory in (tmp_path, elsewhere):
        with serve(settings(cloud, directory, **required), home=directory, env=CACHE_ENV) as sidecar:
            sidecar.process.event("credentials_issued")
            tokens.append(fetch(sidecar.urls["credentials"], "/latest/api/token", TTL, method="PUT").body.decode())
            wait_until(entry(directory).exists)
            kill(sidecar)
    with serve(settings(cloud, tmp_path, **required), home=tmp_path, env=CACHE_ENV) as sidecar:
        sidecar.process.event("credentials_restored")
        header = "X-aliyun-ecs-metadata-token"
        statuses = [fetch(sidecar.urls["credentials"], ROLE, f"{header}: {token}").status for token in tokens]

    assert statuses == [200, 401]
