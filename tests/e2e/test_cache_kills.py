"""SIGKILL at any moment: the encrypted credential cache keeps whole entries, and serves the last one."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .cached_sidecar import CACHE_ENV, cached_key, kill, settings
from .cloud import add_fault, emulator_admin, served_key
from .processes import (
    ROOT,
    EmulatedCloud,
    environment,
    serve,
    wait_until,
)
from .wire import admin_request

pytestmark = pytest.mark.usefixtures("clear_faults")


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
