"""The encrypted credential cache in real processes: restart in an outage, damage, another key, and purge."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .cached_sidecar import CACHE_ENV, KEY, cached, cached_key, entry, kill, settings
from .cloud import add_fault, emulator_admin, served_key
from .processes import (
    PROGRAM,
    EmulatedCloud,
    RunningSidecar,
    environment,
    log_line,
    run,
    serve,
    wait_until,
)
from .users import needs_root
from .wire import admin_request, fetch

pytestmark = pytest.mark.usefixtures("clear_faults")


@pytest.fixture(scope="module")
def killed(cloud: EmulatedCloud, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """The cache directory of a sidecar that was killed, and the response body that its clients had received."""
    home = tmp_path_factory.mktemp("before")
    with serve(settings(cloud, home), home=home, env=CACHE_ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        wait_until(entry(home).exists)
        body = fetch(sidecar.urls["credentials"], "/credentials").body
        kill(sidecar)
    return home / "cache", body


@pytest.fixture
def home(killed: tuple[Path, bytes], tmp_path: Path) -> Path:
    """A directory with a copy of the cache of the killed sidecar."""
    shutil.copytree(killed[0], tmp_path / "cache")
    return tmp_path


# --- a restart in an outage -------------------------------------------------------------------------------------------

OUTCOMES = ("credentials_restored", "credentials_issued", "refresh_failed")


def event_names(sidecar: RunningSidecar) -> list[str]:
    """Return the names of the logged events in their order."""
    return [str(log_line(line).get("event")) for line in sidecar.process.stderr.lines()]


@pytest.mark.parametrize("outage", [{"drop": True}, {"delay": 30}], ids=["refused", "hangs"])
def test_restart_in_an_outage(
    outage: dict[str, Any], cloud: EmulatedCloud, home: Path, killed: tuple[Path, bytes]
) -> None:
    """After SIGKILL and a restart in an outage, the first read returns the cached session and all probes are green."""
    add_fault(cloud, kind="*", times=None, **outage)
    with serve(settings(cloud, home), home=home, env=CACHE_ENV) as sidecar:
        first = fetch(sidecar.urls["credentials"], "/credentials")
        restored = sidecar.process.event("credentials_restored")
        probes = [fetch(sidecar.urls["ops"], path).status for path in ("/livez", "/startupz", "/readyz")]

        assert (first.status, first.body) == (200, killed[1])
        assert next(name for name in event_names(sidecar) if name in OUTCOMES) == "credentials_restored"
        assert restored["access_key_id"] == json.loads(killed[1])["AccessKeyId"]
        assert probes == [200, 200, 200]
        assert sidecar.process.stop() == 0


def test_gate_opens_for_restored_credentials(cloud: EmulatedCloud, home: Path) -> None:
    """With the gate `credentials`, a restored session opens the gate in an outage: SIGTERM drains, and ends with 0."""
    add_fault(cloud, kind="*", times=None, drop=True)
    gate = {"startup": {"gate": "credentials", "timeoutSeconds": 600}}
    with serve(settings(cloud, home) | gate, home=home, env=CACHE_ENV) as sidecar:
        sidecar.process.event("credentials_restored")
        sidecar.process.event("refresh_failed")
        sidecar.process.send(signal.SIGTERM)
        sidecar.process.event("draining")

        assert sidecar.process.wait() == 0


def test_new_session_replaces_the_restored_one(cloud: EmulatedCloud, home: Path, killed: tuple[Path, bytes]) -> None:
    """After a restart the sidecar fetches a session at once, serves it and writes it to the cache."""
    with serve(settings(cloud, home), home=home, env=CACHE_ENV) as sidecar:
        issued = sidecar.process.event("credentials_issued")["access_key_id"]
        served = served_key(sidecar)

        assert served == issued
        assert issued != json.loads(killed[1])["AccessKeyId"]
        wait_until(lambda: cached_key(sidecar) == issued)


def test_expired_entry_is_not_restored(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A cached session that has expired is not restored: requests get 503 and the state is `starting`."""
    add_fault(cloud, kind="sts", times=None, expirationOffset=3)
    with serve(settings(cloud, tmp_path), home=tmp_path, env=CACHE_ENV) as sidecar:
        wait_until(entry(tmp_path).exists)
        kill(sidecar)
        credentials = cached(sidecar)
    assert credentials is not None
    emulator_admin(cloud.url, "DELETE", "faults")
    add_fault(cloud, kind="*", times=None, drop=True)
    wait_until(lambda: time.time() > credentials.expires_at)
    with serve(settings(cloud, tmp_path), home=tmp_path, env=CACHE_ENV) as sidecar:
        sidecar.process.event("refresh_failed")
        state = json.loads(fetch(sidecar.urls["ops"], "/status.json").body)["profiles"][0]["state"]

        assert fetch(sidecar.urls["credentials"], "/credentials").status == 503
        assert state == "starting"
        assert sidecar.process.events("credentials_restored") == []
        assert sidecar.process.events("cache_unusable") == []


# --- entries that are rejected ----------------------------------------------------------------------------------------


def other_role(configuration: dict[str, Any]) -> None:
    """Change the role."""
    configuration["profiles"]["default"]["exchange"]["roleArn"] = "acs:ram::1234567890123456:role/demo-chained"


def other_client(configuration: dict[str, Any]) -> None:
    """Change the client of the identity."""
    configuration["profiles"]["default"]["identity"]["clientId"] = "app_other"


def longer_chain(configuration: dict[str, Any]) -> None:
    """Add a chained role."""
    configuration["profiles"]["default"]["chain"] = [{"roleArn": "acs:ram::1234567890123456:role/demo-chained"}]


@pytest.mark.parametrize("change", [other_role, other_client, longer_chain], ids=lambda change: change.__name__)
def test_changed_configuration(change: Callable[[dict[str, Any]], None], cloud: EmulatedCloud, home: Path) -> None:
    """After a change of role, client or chain, the cached session is never served, and one warning gives the reason."""
    add_fault(cloud, kind="*", times=None, drop=True)
    configuration = settings(cloud, home)
    change(configuration)
    with serve(configuration, home=home, env=CACHE_ENV) as sidecar:
        sidecar.process.event("refresh_failed")

        assert fetch(sidecar.urls["credentials"], "/credentials").status == 503
        (warning,) = sidecar.process.events("cache_unusable")
        assert warning["profile"] == "default"
        assert "of another configuration" in warning["message"]


def flip_bit(path: Path) -> None:
    """Flip one bit in the middle of a file."""
    configuration = bytearray(path.read_bytes())
    configuration[len(configuration) // 2] ^= 1
    path.write_bytes(configuration)


def make_link(path: Path) -> None:
    """Replace a file by a symbolic link to it."""
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def make_pipe(path: Path) -> None:
    """Replace a file by a named pipe."""
    path.unlink()
    os.mkfifo(path)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a flipped bit": flip_bit,
    "truncated": lambda path: os.truncate(path, 40),
    "empty": lambda path: os.truncate(path, 0),
    "of another version": lambda path: path.write_bytes(path.read_bytes().replace(b"cache 1", b"cache 0")),
    "a symbolic link": make_link,
    "a hard link": lambda path: os.link(path, path.with_name("elsewhere")),
    "a pipe": make_pipe,
    "of a foreign mode": lambda path: path.chmod(0o644),
    "of a foreign owner": lambda path: os.chown(path, 1001, 1001),
    "in a foreign directory": lambda path: os.chown(path.parent, 1001, 1001),
    "in an open directory": lambda path: path.parent.chmod(0o777),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_entry(damage: str, cloud: EmulatedCloud, home: Path, killed: tuple[Path, bytes]) -> None:
    """A damaged entry gives one warning, then 503 until the cloud responds, then 200, and a clean exit."""
    if "foreign" in damage and os.geteuid() != 0:
        pytest.skip("skipped: needs root, to give files away")
    DAMAGES[damage](entry(home))
    add_fault(cloud, kind="*", times=None, drop=True)
    with serve(settings(cloud, home), home=home, env=CACHE_ENV) as sidecar:
        sidecar.process.event("refresh_failed")
        before = fetch(sidecar.urls["credentials"], "/credentials").status
        emulator_admin(cloud.url, "DELETE", "faults")
        sidecar.process.event("credentials_issued")
        after = served_key(sidecar)
        ended = sidecar.process.stop()

        assert (before, ended) == (503, 0)
        assert after != json.loads(killed[1])["AccessKeyId"]
        assert len(sidecar.process.events("cache_unusable")) == 1
        assert "Traceback" not in "\n".join(sidecar.process.stderr.lines())


def test_another_key(cloud: EmulatedCloud, home: Path) -> None:
    """With another key the entry is rejected, and no log line contains either key."""
    add_fault(cloud, kind="*", times=None, drop=True)
    with serve(settings(cloud, home), home=home, env=CACHE_ENV | {"CACHE_KEY": KEY[::-1]}) as sidecar:
        sidecar.process.event("refresh_failed")
        report = "\n".join(sidecar.process.stderr.lines())

        assert fetch(sidecar.urls["credentials"], "/credentials").status == 503
        (warning,) = sidecar.process.events("cache_unusable")
        assert "of another key" in warning["message"]
        assert not [key for key in (KEY, KEY[::-1]) if key in report]


DISKS = {
    "read-only": "mount --bind {cache} {cache}; mount -o remount,ro,bind {cache}",
    "full": "mount -t tmpfs -o size=16k,mode=0700 none {cache}; cp -a {copy}/. {cache}; "
    "head -c 20000 /dev/zero >{cache}/ballast || true",
}


@needs_root
@pytest.mark.parametrize("disk", DISKS)
def test_disk_that_cannot_be_written(disk: str, cloud: EmulatedCloud, home: Path, killed: tuple[Path, bytes]) -> None:
    """On a full or read-only disk the entry is restored, one warning is logged, and clients are served."""
    mount = DISKS[disk].format(cache=home / "cache", copy=killed[0])
    program = ("unshare", "--mount", "sh", "-euc", f'{mount}; exec "$@"', "sh", *PROGRAM)
    configuration = settings(cloud, home)
    configuration["server"]["adminSocket"] = str(home / "admin.sock")
    with serve(configuration, home=home, env=CACHE_ENV, program=program) as sidecar:
        sidecar.process.event("credentials_restored")
        sidecar.process.event("credentials_issued")
        sidecar.process.event("cache_unusable")
        refreshes = [admin_request(str(home / "admin.sock"), "POST", "/refresh") for _ in range(3)]
        served_key(sidecar)
        ended = sidecar.process.stop()

        assert (refreshes, ended) == ([200] * 3, 0)
        assert len(sidecar.process.events("credentials_issued")) == 4
        assert len(sidecar.process.events("cache_unusable")) == 1


def test_purge(cloud: EmulatedCloud, home: Path) -> None:
    """Purge empties memory and directory before its response: after a restart in an outage there is no session."""
    configuration = settings(cloud, home)
    configuration["server"]["adminSocket"] = str(home / "admin.sock")
    add_fault(cloud, kind="*", times=None, drop=True)
    with serve(configuration, home=home, env=CACHE_ENV) as sidecar:
        sidecar.process.event("credentials_restored")
        done = run("purge", "--config", str(sidecar.config_path), env=environment(home, **CACHE_ENV))
        left = list(entry(home).parent.glob("*.sealed*"))
        status = fetch(sidecar.urls["credentials"], "/credentials").status
        kill(sidecar)
    with serve(configuration, home=home, env=CACHE_ENV) as sidecar:
        sidecar.process.event("refresh_failed")

        assert (done.code, left, status) == (4, [], 503)
        assert fetch(sidecar.urls["credentials"], "/credentials").status == 503
        assert sidecar.process.events("cache_unusable") == []
