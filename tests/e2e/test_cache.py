"""The sealed cache in real processes: a restart that falls into an outage, damage, purge, and SIGKILL at any moment."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.config.loader import load
from app.store.sealed_cache import SealedCache

from .processes import PROGRAM, ROOT, EmulatedCloud, Serving, emulator, environment, run, serve, until
from .test_admin import ask_unix
from .test_service import ENV, admin, config, fault
from .users import needs_root
from .wire import ask

KEY = "0123456789abcdef" * 4
SEALED = {"CACHE_KEY": KEY, **ENV}
QUICKLY = {"minRetrySeconds": 0.1, "maxRetrySeconds": 1, "permanentRetrySeconds": 10}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    with emulator(home=tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(autouse=True)
def fair_weather(cloud: EmulatedCloud) -> Iterator[None]:
    yield
    admin(cloud.url, "DELETE", "faults")


def settings(cloud: EmulatedCloud, home: Path, **changes: Any) -> dict[str, Any]:
    """A configuration with a cache below `home`."""
    cache = {"directory": str(home / "kept"), "keyEnvVarName": "CACHE_KEY"}
    return config(cloud, cache=cache, startup={"gate": "listening"}, refresh=QUICKLY, **changes)


def killed(sidecar: Serving) -> None:
    sidecar.process.send(signal.SIGKILL)
    sidecar.process.code()


def entry(home: Path, profile: str = "default") -> Path:
    return home / "kept" / "idaas-sidecar" / f"{profile}.sealed"


def key_of(sidecar: Serving, profile: str = "default") -> str:
    answer = ask(sidecar.urls["credentials"], f"/credentials/{profile}")
    assert answer.status == 200, answer.body
    return str(json.loads(answer.body)["AccessKeyId"])


@pytest.fixture(scope="module")
def before(cloud: EmulatedCloud, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """What a sidecar that was killed left behind, and the answer that its clients had."""
    home = tmp_path_factory.mktemp("before")
    with serve(settings(cloud, home), home=home, env=SEALED) as sidecar:
        sidecar.process.event("credentials_issued")
        until(entry(home).exists)
        body = ask(sidecar.urls["credentials"], "/credentials").body
        killed(sidecar)
    return home / "kept", body


@pytest.fixture
def home(before: tuple[Path, bytes], tmp_path: Path) -> Path:
    shutil.copytree(before[0], tmp_path / "kept")
    return tmp_path


# --- a restart in an outage -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outage", [{"drop": True}, {"delay": 30}], ids=["away", "hangs"])
def test_a_restart_in_an_outage(
    outage: dict[str, Any], cloud: EmulatedCloud, home: Path, before: tuple[Path, bytes]
) -> None:
    """After SIGKILL the first read is answered at once with the credential of before; probes are green."""
    fault(cloud, kind="*", times=None, **outage)
    started = time.monotonic()
    with serve(settings(cloud, home), home=home, env=SEALED) as sidecar:
        first = ask(sidecar.urls["credentials"], "/credentials")
        took = time.monotonic() - started
        restored = sidecar.process.event("credentials_restored")
        probes = [ask(sidecar.urls["ops"], path).status for path in ("/livez", "/startupz", "/readyz")]

        assert (first.status, first.body) == (200, before[1])
        assert took < 3
        assert restored["access_key_id"] == json.loads(before[1])["AccessKeyId"]
        assert probes == [200, 200, 200]
        assert sidecar.process.stop() == 0


def test_the_gate_opens_for_what_is_restored(cloud: EmulatedCloud, home: Path) -> None:
    """With the gate `credentials` a restart in an outage does not end in an exit code."""
    fault(cloud, kind="*", times=None, drop=True)
    gate = {"startup": {"gate": "credentials", "timeoutSeconds": 0.5}}
    with serve(settings(cloud, home) | gate, home=home, env=SEALED) as sidecar:
        sidecar.process.event("credentials_restored")
        sidecar.process.event("refresh_failed")
        sidecar.process.send(signal.SIGTERM)
        sidecar.process.event("draining")

        assert sidecar.process.code() == 0


def test_a_new_one_replaces_what_is_restored(cloud: EmulatedCloud, home: Path, before: tuple[Path, bytes]) -> None:
    """A restart in fair weather asks the cloud at once, serves what it says, and keeps that instead."""
    with serve(settings(cloud, home), home=home, env=SEALED) as sidecar:
        issued = sidecar.process.event("credentials_issued")["access_key_id"]
        served = key_of(sidecar)

        assert served == issued
        assert issued != json.loads(before[1])["AccessKeyId"]
        until(lambda: kept_key(sidecar) == issued)


def kept_key(sidecar: Serving, profile: str = "default") -> str | None:
    """The key of the entry that is on the disk now."""
    loaded = load(str(sidecar.config_path), SEALED, hostname=socket.gethostname(), now=time.time)
    cache = SealedCache(str(loaded.settings.cache.directory), lambda: KEY)
    kept = cache.read(profile, loaded.settings.profiles[profile])
    return kept.access_key_id if kept is not None else None


def test_what_ended_meanwhile(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A kept session that has ended is not restored: 503, and the state is that of a start."""
    fault(cloud, kind="sts", times=1, expirationOffset=2)
    with serve(settings(cloud, tmp_path), home=tmp_path, env=SEALED) as sidecar:
        end = json.loads(ask(sidecar.urls["credentials"], "/credentials").body)["Expiration"]
        until(entry(tmp_path).exists)
        killed(sidecar)
    fault(cloud, kind="*", times=None, drop=True)
    until(lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) > end)
    with serve(settings(cloud, tmp_path), home=tmp_path, env=SEALED) as sidecar:
        sidecar.process.event("refresh_failed")
        state = json.loads(ask(sidecar.urls["ops"], "/status.json").body)["profiles"][0]["state"]

        assert ask(sidecar.urls["credentials"], "/credentials").status == 503
        assert state == "starting"
        assert sidecar.process.events("credentials_restored") == []
        assert sidecar.process.events("cache_unusable") == []


# --- what is not believed ---------------------------------------------------------------------------------------------


def other_role(whole: dict[str, Any]) -> None:
    whole["profiles"]["default"]["exchange"]["roleArn"] = "acs:ram::1234567890123456:role/demo-chained"


def other_client(whole: dict[str, Any]) -> None:
    whole["profiles"]["default"]["identity"]["clientId"] = "app_other"


def longer_chain(whole: dict[str, Any]) -> None:
    whole["profiles"]["default"]["chain"] = [{"roleArn": "acs:ram::1234567890123456:role/demo-chained"}]


@pytest.mark.parametrize("change", [other_role, other_client, longer_chain], ids=lambda change: change.__name__)
def test_a_changed_configuration(change: Callable[[dict[str, Any]], None], cloud: EmulatedCloud, home: Path) -> None:
    """Who comes back with another role, client or chain never serves the credential of before, and says why."""
    fault(cloud, kind="*", times=None, drop=True)
    whole = settings(cloud, home)
    change(whole)
    with serve(whole, home=home, env=SEALED) as sidecar:
        sidecar.process.event("refresh_failed")

        assert ask(sidecar.urls["credentials"], "/credentials").status == 503
        (warning,) = sidecar.process.events("cache_unusable")
        assert warning["profile"] == "default"
        assert "of another configuration" in warning["message"]


def flipped(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a flipped bit": flipped,
    "cut short": lambda path: os.truncate(path, 40),
    "empty": lambda path: os.truncate(path, 0),
    "of another version": lambda path: path.write_bytes(path.read_bytes().replace(b"cache 1", b"cache 0")),
    "a symbolic link": linked,
    "a hard link": lambda path: os.link(path, path.with_name("elsewhere")),
    "a pipe": piped,
    "of a foreign mode": lambda path: path.chmod(0o644),
    "of a foreign owner": lambda path: os.chown(path, 1001, 1001),
    "in a foreign directory": lambda path: os.chown(path.parent, 1001, 1001),
    "in an open directory": lambda path: path.parent.chmod(0o777),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage(damage: str, cloud: EmulatedCloud, home: Path, before: tuple[Path, bytes]) -> None:
    """Whatever happened to the entry: one warning, 503 until the cloud answers, then 200, and a quiet end."""
    if "foreign" in damage and os.geteuid() != 0:
        pytest.skip("skipped: needs root, to give files away")
    DAMAGES[damage](entry(home))
    fault(cloud, kind="*", times=None, drop=True)
    with serve(settings(cloud, home), home=home, env=SEALED) as sidecar:
        sidecar.process.event("refresh_failed")
        dark = ask(sidecar.urls["credentials"], "/credentials").status
        admin(cloud.url, "DELETE", "faults")
        sidecar.process.event("credentials_issued")
        light = key_of(sidecar)
        ended = sidecar.process.stop()

        assert (dark, ended) == (503, 0)
        assert light != json.loads(before[1])["AccessKeyId"]
        assert len(sidecar.process.events("cache_unusable")) == 1
        assert "Traceback" not in "\n".join(sidecar.process.stderr.so_far())


def test_another_key(cloud: EmulatedCloud, home: Path) -> None:
    """With another key the entry is refused, and no log line holds either key."""
    fault(cloud, kind="*", times=None, drop=True)
    with serve(settings(cloud, home), home=home, env=SEALED | {"CACHE_KEY": KEY[::-1]}) as sidecar:
        sidecar.process.event("refresh_failed")
        said = "\n".join(sidecar.process.stderr.so_far())

        assert ask(sidecar.urls["credentials"], "/credentials").status == 503
        (warning,) = sidecar.process.events("cache_unusable")
        assert "of another key" in warning["message"]
        assert not [key for key in (KEY, KEY[::-1]) if key in said]


DISKS = {
    "read-only": "mount --bind {kept} {kept}; mount -o remount,ro,bind {kept}",
    "full": "mount -t tmpfs -o size=16k,mode=0700 none {kept}; cp -a {copy}/. {kept}; "
    "head -c 20000 /dev/zero >{kept}/ballast || true",
}


@needs_root
@pytest.mark.parametrize("disk", DISKS)
def test_a_disk_that_takes_nothing(disk: str, cloud: EmulatedCloud, home: Path, before: tuple[Path, bytes]) -> None:
    """What is there is restored; that nothing new is kept is told once, and costs no client anything."""
    mount = DISKS[disk].format(kept=home / "kept", copy=before[0])
    program = ("unshare", "--mount", "sh", "-euc", f'{mount}; exec "$@"', "sh", *PROGRAM)
    whole = settings(cloud, home)
    whole["server"]["adminSocket"] = str(home / "admin.sock")
    with serve(whole, home=home, env=SEALED, program=program) as sidecar:
        sidecar.process.event("credentials_restored")
        sidecar.process.event("credentials_issued")
        sidecar.process.event("cache_unusable")
        orders = [ask_unix(str(home / "admin.sock"), "POST", "/refresh") for _ in range(3)]
        key_of(sidecar)
        ended = sidecar.process.stop()

        assert (orders, ended) == ([200] * 3, 0)
        assert len(sidecar.process.events("credentials_issued")) == 4
        assert len(sidecar.process.events("cache_unusable")) == 1


def test_purge(cloud: EmulatedCloud, home: Path) -> None:
    """The order empties memory and directory before it is answered: after a restart in an outage there is nothing."""
    whole = settings(cloud, home)
    whole["server"]["adminSocket"] = str(home / "admin.sock")
    fault(cloud, kind="*", times=None, drop=True)
    with serve(whole, home=home, env=SEALED) as sidecar:
        key_of(sidecar)
        done = run("purge", "--config", str(sidecar.config_path), env=environment(home, **SEALED))
        left = list(entry(home).parent.glob("*.sealed*"))
        status = ask(sidecar.urls["credentials"], "/credentials").status
        killed(sidecar)
    with serve(whole, home=home, env=SEALED) as sidecar:
        sidecar.process.event("refresh_failed")

        assert (done.code, left, status) == (4, [], 503)
        assert ask(sidecar.urls["credentials"], "/credentials").status == 503
        assert sidecar.process.events("cache_unusable") == []


# --- SIGKILL ----------------------------------------------------------------------------------------------------------

WRITERS = """
import json, os, random, signal, sys, time
from app.store.sealed_cache import SealedCache
from app.config.loader import load
from app.core.values import Credentials

config, place, rounds, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
chance = random.Random(seed)
profiles = load(config, dict(os.environ), hostname="host", now=time.time).settings.profiles
cache = SealedCache(place, lambda: os.environ["CACHE_KEY"])


def session(name, number):
    secret = f"{name}:{number}:" * 150  # some pages long, and of one piece
    return Credentials(f"STS.{name}.{number}", secret, secret, float(number), number + 3600.0)


def write_for_ever(number, done):
    while True:
        for name in profiles:
            cache.write(name, profiles[name], session(name, number))
            os.write(done, b"%d %s\\n" % (number, name.encode()))
        number += 1


complete, drafts, wrong = dict.fromkeys(profiles, 0), 0, []
for name in profiles:
    cache.write(name, profiles[name], session(name, 0))
for round in range(rounds):
    told, done = os.pipe()
    child = os.fork()
    if not child:
        write_for_ever(max(complete.values()) + 1, done)
    os.close(done)
    text = os.read(told, 1 << 20)
    time.sleep(chance.uniform(0, 0.01))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    text += os.read(told, 1 << 20)
    os.close(told)
    for line in text.decode().splitlines():
        number, name = line.split(" ")
        complete[name] = int(number)
    drafts += any(entry.endswith(".new") for entry in os.listdir(place + "/idaas-sidecar"))
    for name in profiles:
        found = cache.read(name, profiles[name])
        number = int(found.issued_at)
        if found != session(name, number) or number < complete[name]:
            wrong.append([round, name, number, complete[name]])
        complete[name] = number
print(json.dumps({"rounds": rounds, "drafts": drafts, "wrong": wrong, "last": complete}))
"""


def test_writers_are_killed(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """After SIGKILL at 195 random moments each profile's entry is whole, its own, and none that was replaced before."""
    whole = settings(cloud, tmp_path)
    whole["profiles"]["p2"] = whole["profiles"]["default"]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(whole))
    seed = random.randrange(1 << 30)
    done = subprocess.run(
        (sys.executable, "-c", WRITERS, str(path), str(tmp_path / "kept"), "195", str(seed)),
        env=environment(tmp_path, **SEALED),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)

    assert said["wrong"] == [], f"seed {seed}"
    assert said["rounds"] == 195
    assert said["drafts"] > 0, "none of them was killed while it wrote"


def test_sidecars_are_killed(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Five times a sidecar that renews without end is killed; the next one, in an outage, serves what was kept last."""
    whole = settings(cloud, tmp_path)
    whole["server"]["adminSocket"] = str(tmp_path / "admin.sock")
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    known: list[str] = []
    for _ in range(5):
        admin(cloud.url, "DELETE", "faults")
        with serve(whole, home=tmp_path, env=SEALED) as sidecar, renewing(str(tmp_path / "admin.sock")):
            until(lambda sidecar=sidecar: len(sidecar.process.events("credentials_issued")) > 3)
            time.sleep(chance.uniform(0, 0.1))  # the moment is what is drawn; nothing is waited for
            complete = kept_key(sidecar)
            killed(sidecar)
            sidecar.process.stderr.close()
            known += [event["access_key_id"] for event in sidecar.process.events("credentials_issued")]
        fault(cloud, kind="*", times=None, drop=True)
        with serve(whole, home=tmp_path, env=SEALED) as sidecar:
            served = key_of(sidecar)
            killed(sidecar)

        assert known.index(served) >= known.index(str(complete)), f"seed {seed}"


@contextlib.contextmanager
def renewing(name: str) -> Iterator[None]:
    """Orders one refresh after the other, for the length of a block."""
    over = threading.Event()

    def order() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError, IndexError, ValueError):
                ask_unix(name, "POST", "/refresh")

    thread = threading.Thread(target=order)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


# --- what else outlives a restart -------------------------------------------------------------------------------------

TTL = "X-aliyun-ecs-metadata-token-ttl-seconds: 21600"
ROLE = "/latest/meta-data/ram/security-credentials/default"


def test_metadata_session_tokens(cloud: EmulatedCloud, home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A client that keeps its token for most of an hour is not refused after a restart; another sidecar's still is."""
    required = {"access": {"metadataTokens": "required"}}
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    tokens = []
    for place in (home, elsewhere):
        with serve(settings(cloud, place, **required), home=place, env=SEALED) as sidecar:
            sidecar.process.event("credentials_issued")
            tokens.append(ask(sidecar.urls["credentials"], "/latest/api/token", TTL, method="PUT").body.decode())
            killed(sidecar)
    with serve(settings(cloud, home, **required), home=home, env=SEALED) as sidecar:
        sidecar.process.event("credentials_restored")
        header = "X-aliyun-ecs-metadata-token"
        statuses = [ask(sidecar.urls["credentials"], ROLE, f"{header}: {token}").status for token in tokens]

    assert statuses == [200, 401]
