"""The encrypted credential cache in real processes: restart in an outage, damage, purge, and SIGKILL at any moment."""

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
from app.core.values import Credentials
from app.store.sealed_cache import SealedCache

from ..ports import unused_port
from .cloud import ENV, QUICK_RETRIES, add_fault, config, emulator_admin, served_key
from .processes import (
    PROGRAM,
    ROOT,
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

KEY = "0123456789abcdef" * 4
CACHE_ENV = {"CACHE_KEY": KEY, **ENV}


pytestmark = pytest.mark.usefixtures("clear_faults")


def settings(cloud: EmulatedCloud, home: Path, **changes: Any) -> dict[str, Any]:
    """Return a configuration with a cache below `home`."""
    cache = {"directory": str(home / "cache"), "keyEnvVarName": "CACHE_KEY"}
    return config(cloud, cache=cache, startup={"gate": "listening"}, refresh=QUICK_RETRIES, **changes)


def kill(sidecar: RunningSidecar) -> None:
    """Kill the sidecar with SIGKILL and wait for its end."""
    sidecar.process.send(signal.SIGKILL)
    sidecar.process.wait()


def entry(home: Path, profile: str = "default") -> Path:
    """Return the path of a profile's cache entry."""
    return home / "cache" / "idaas-sidecar" / f"{profile}.sealed"


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


def cached(sidecar: RunningSidecar) -> Credentials | None:
    """Return the session of the cache entry on the disk, or None."""
    loaded = load(str(sidecar.config_path), CACHE_ENV, hostname=socket.gethostname(), now=time.time)
    cache = SealedCache(str(loaded.settings.cache.directory), lambda: KEY)
    return cache.read("default", loaded.settings.profiles["default"])


def cached_key(sidecar: RunningSidecar) -> str | None:
    """Return the AccessKeyId of the cache entry on the disk, or None."""
    credentials = cached(sidecar)
    return credentials.access_key_id if credentials is not None else None


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


# --- SIGKILL ----------------------------------------------------------------------------------------------------------

WRITERS = """
import json, os, random, signal, sys, time
from app.store.sealed_cache import SealedCache
from app.config.loader import load
from app.core.values import Credentials

config, directory, rounds, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
chance = random.Random(seed)
profiles = load(config, dict(os.environ), hostname="host", now=time.time).settings.profiles
cache = SealedCache(directory, lambda: os.environ["CACHE_KEY"])


def session(name, number):
    secret = f"{name}:{number}:" * 150  # several pages long, so that a torn write shows
    return Credentials(f"STS.{name}.{number}", secret, secret, float(number), number + 3600.0)


def write_forever(number, done):
    while True:
        for name in profiles:
            cache.write(name, profiles[name], session(name, number))
            os.write(done, b"%d %s\\n" % (number, name.encode()))
        number += 1


complete, drafts, wrong = dict.fromkeys(profiles, 0), 0, []
for name in profiles:
    cache.write(name, profiles[name], session(name, 0))
for round in range(rounds):
    reading, done = os.pipe()
    child = os.fork()
    if not child:
        write_forever(max(complete.values()) + 1, done)
    os.close(done)
    text = os.read(reading, 1 << 20)
    time.sleep(chance.uniform(0, 0.01))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    text += os.read(reading, 1 << 20)
    os.close(reading)
    for line in text.decode().splitlines():
        number, name = line.split(" ")
        complete[name] = int(number)
    drafts += any(entry.endswith(".new") for entry in os.listdir(directory + "/idaas-sidecar"))
    for name in profiles:
        found = cache.read(name, profiles[name])
        number = int(found.issued_at)
        if found != session(name, number) or number < complete[name]:
            wrong.append([round, name, number, complete[name]])
        complete[name] = number
print(json.dumps({"rounds": rounds, "drafts": drafts, "wrong": wrong, "last": complete}))
"""


def test_writers_are_killed(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """After SIGKILL at 195 random moments each entry is whole, belongs to its profile and is not an older one."""
    configuration = settings(cloud, tmp_path)
    configuration["profiles"]["p2"] = configuration["profiles"]["default"]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(configuration))
    seed = random.randrange(1 << 30)
    done = subprocess.run(
        (sys.executable, "-c", WRITERS, str(path), str(tmp_path / "cache"), "195", str(seed)),
        env=environment(tmp_path, **CACHE_ENV),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)

    assert report["wrong"] == [], f"seed {seed}"
    assert report["rounds"] == 195
    assert report["drafts"] > 0, "no writer was killed while it wrote"


def test_sidecars_are_killed(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """After each of five kills during refreshes, the next sidecar serves the session cached last, in an outage."""
    configuration = settings(cloud, tmp_path)
    configuration["server"]["adminSocket"] = str(tmp_path / "admin.sock")
    seed = random.randrange(1 << 30)
    rng = random.Random(seed)
    known: list[str] = []
    for _ in range(5):
        emulator_admin(cloud.url, "DELETE", "faults")
        with serve(configuration, home=tmp_path, env=CACHE_ENV) as sidecar, refreshing(str(tmp_path / "admin.sock")):
            wait_until(lambda sidecar=sidecar: len(sidecar.process.events("credentials_issued")) > 3)
            time.sleep(rng.uniform(0, 0.1))  # a random moment for the kill, not a wait
            complete = cached_key(sidecar)
            kill(sidecar)
            sidecar.process.stderr.close()
            known += [event["access_key_id"] for event in sidecar.process.events("credentials_issued")]
        add_fault(cloud, kind="*", times=None, drop=True)
        with serve(configuration, home=tmp_path, env=CACHE_ENV) as sidecar:
            served = served_key(sidecar)
            kill(sidecar)

        assert known.index(served) >= known.index(str(complete)), f"seed {seed}"


@contextlib.contextmanager
def refreshing(name: str) -> Iterator[None]:
    """Send refresh commands one after the other while the block runs."""
    over = threading.Event()

    def refresh_again() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError, IndexError, ValueError):
                admin_request(name, "POST", "/refresh")

    thread = threading.Thread(target=refresh_again)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


# --- metadata session tokens ------------------------------------------------------------------------------------------

TTL = "X-aliyun-ecs-metadata-token-ttl-seconds: 21600"
ROLE = "/latest/meta-data/ram/security-credentials/default"


@pytest.mark.parametrize(("tokens", "listener"), [("required", "bind"), ("optional", "bind"), ("required", "metadata")])
def test_metadata_session_tokens_without_a_cache(cloud: EmulatedCloud, home: Path, tokens: str, listener: str) -> None:
    """A token outlives a restart without a cache if one listener has a fixed port; no key is kept for optional ones."""
    port = unused_port()
    wanted = settings(cloud, home, access={"metadataTokens": tokens})
    del wanted["cache"]
    wanted["server"][listener] = f"127.0.0.1:{port}"
    name = "credentials" if listener == "bind" else "metadata"
    variables = CACHE_ENV | {"XDG_RUNTIME_DIR": str(home)}
    with serve(wanted, home=home, env=variables) as sidecar:
        token = fetch(sidecar.urls[name], "/latest/api/token", TTL, method="PUT").body.decode()
        kill(sidecar)
    with serve(wanted, home=home, env=variables) as sidecar:
        sidecar.process.event("credentials_issued")
        found = fetch(sidecar.urls[name], ROLE, f"X-aliyun-ecs-metadata-token: {token}").status

    assert found == 200
    assert (home / "idaas-sidecar" / f"session-key-{port}").exists() is (tokens == "required")


def test_session_key_that_was_emptied(cloud: EmulatedCloud, home: Path) -> None:
    """A key file that was emptied is named once, and a new key replaces it, so that later restarts keep tokens."""
    port = unused_port()
    wanted = settings(cloud, home, access={"metadataTokens": "required"})
    del wanted["cache"]
    wanted["server"]["bind"] = f"127.0.0.1:{port}"
    variables = CACHE_ENV | {"XDG_RUNTIME_DIR": str(home)}
    path = home / "idaas-sidecar" / f"session-key-{port}"
    tokens = []
    for start in range(3):
        if start == 1:
            path.write_text("")
        with serve(wanted, home=home, env=variables) as sidecar:
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


def test_instance_of_the_cache_that_was_emptied(cloud: EmulatedCloud, home: Path) -> None:
    """The cache's part of that key is named and replaced in the same way, and the session is restored all the same."""
    wanted = settings(cloud, home, access={"metadataTokens": "required"})
    with serve(wanted, home=home, env=CACHE_ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        kill(sidecar)
    (seed,) = home.rglob("instance")
    seed.write_text("")
    for expected in (1, 0):
        with serve(wanted, home=home, env=CACHE_ENV) as sidecar:
            sidecar.process.event("credentials_restored")
            lost = sidecar.process.events("session_key_lost")
            kill(sidecar)
        assert len(lost) == expected
        assert all(line["error"] == f"{seed}: has lost its content; a new key replaces it" for line in lost)


def test_metadata_session_tokens_required_by_a_reload(cloud: EmulatedCloud, home: Path) -> None:
    """After a reload that requires tokens, tokens of before and after stay valid, the new ones also after a restart."""
    port = unused_port()
    optional = settings(cloud, home)
    del optional["cache"]
    optional["server"]["bind"] = f"127.0.0.1:{port}"
    required = optional | {"access": {"metadataTokens": "required"}}
    variables = CACHE_ENV | {"XDG_RUNTIME_DIR": str(home)}

    def token(sidecar: RunningSidecar) -> str:
        return fetch(sidecar.urls["credentials"], "/latest/api/token", TTL, method="PUT").body.decode()

    def status(sidecar: RunningSidecar, value: str) -> int:
        return fetch(sidecar.urls["credentials"], ROLE, f"X-aliyun-ecs-metadata-token: {value}").status

    with serve(optional, home=home, env=variables) as sidecar:
        sidecar.process.event("credentials_issued")
        before = token(sidecar)
        (home / "config.json").write_text(json.dumps(required))
        sidecar.process.event("config_reloaded")
        after = token(sidecar)
        assert [status(sidecar, value) for value in (before, after, "none")] == [200, 200, 401]
        kill(sidecar)
    with serve(required, home=home, env=variables) as sidecar:
        sidecar.process.event("credentials_issued")
        assert status(sidecar, after) == 200


def test_metadata_session_tokens(cloud: EmulatedCloud, home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """After a restart a metadata session token is still accepted; a token of another sidecar is rejected."""
    required = {"access": {"metadataTokens": "required"}}
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    tokens = []
    for directory in (home, elsewhere):
        with serve(settings(cloud, directory, **required), home=directory, env=CACHE_ENV) as sidecar:
            sidecar.process.event("credentials_issued")
            tokens.append(fetch(sidecar.urls["credentials"], "/latest/api/token", TTL, method="PUT").body.decode())
            kill(sidecar)
    with serve(settings(cloud, home, **required), home=home, env=CACHE_ENV) as sidecar:
        sidecar.process.event("credentials_restored")
        header = "X-aliyun-ecs-metadata-token"
        statuses = [fetch(sidecar.urls["credentials"], ROLE, f"{header}: {token}").status for token in tokens]

    assert statuses == [200, 401]
