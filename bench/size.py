"""The cost of a sidecar without load: memory, CPU time, wake-ups."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import client
from processes import cpu_seconds, pss_kib, rss_kib, wake_ups
from sidecar import SECRETS, Cloud, Sidecar, sidecar
from table import Figure, Goal, plain

READS, PROBE_EVERY, SCRAPE_EVERY, STATUS_EVERY = 10_000, 10, 500, 100
PROFILES, IDLE = 100, 500
CREDENTIALS = "/credentials"


def memory(cloud: Cloud, directory: Path) -> Iterator[Figure]:
    """Measure the PSS from the first refresh to the ten-thousandth read."""
    with sidecar(cloud, directory) as ours:
        settle(ours)
        fresh = pss_kib(ours.pid)
        yield plain("memory (PSS) after start and first refresh", fresh / 1024, "MiB", Goal(40, 30, " MiB"))
        read_with_probes(ours)
        used = pss_kib(ours.pid) / 1024
        yield plain("memory (PSS) after 10 000 reads, probes, scrapes, status", used, "MiB", Goal(30, None, " MiB"))
        yield plain("the same as RSS, without sharing", rss_kib(ours.pid) / 1024, "MiB")
    yield plain("each idle connection", per_connection(cloud, directory), "KiB", Goal(11, None, " KiB"))
    with sidecar(cloud, directory, profiles=1 + PROFILES) as many:
        settle(many, seconds=4)
        each = (pss_kib(many.pid) - fresh) / PROFILES
        yield plain("each additional profile (1 and 101)", each, "KiB", Goal(10, None, " KiB"))


def commands(cloud: Cloud, directory: Path) -> Iterator[Figure]:
    """Measure what a command beside a running sidecar takes: in a container it counts towards the same limit."""
    with sidecar(cloud, directory, admin=directory / "admin.sock") as ours:
        settle(ours)
        for name in ("get", "refresh", "status", "config"):
            rss, private = command_memory(name, ours.config)
            yield plain(f"command `{name}` beside the sidecar: RSS", rss / 1024, "MiB")
            yield plain(f"command `{name}` beside the sidecar: private memory", private / 1024, "MiB")


AT_EXIT = """
import atexit, runpy, sys
atexit.register(lambda: sys.stderr.write(open("/proc/self/smaps_rollup").read()))
module, *sys.argv[1:] = sys.argv[1:]
runpy.run_module(module, run_name="__main__")
"""
"""Runs a command in this interpreter; at its end its memory is printed on stderr."""


def command_memory(name: str, config: Path) -> tuple[int, int]:
    """Return the RSS and the private memory of a command at its end, in KiB."""
    module = "idaas_sidecar" if importlib.util.find_spec("idaas_sidecar") else "app"
    done = subprocess.run(
        [sys.executable, "-c", AT_EXIT, module, name, "--config", str(config)],
        check=True,
        env=os.environ | SECRETS,
        capture_output=True,
        text=True,
    )
    fields = dict(re.findall(r"^(\w+): +(\d+) kB$", done.stderr, re.MULTILINE))
    return int(fields["Rss"]), int(fields["Private_Clean"]) + int(fields["Private_Dirty"])


def per_connection(cloud: Cloud, directory: Path) -> float:
    """Return the PSS of one idle connection in KiB."""
    with sidecar(cloud, directory) as ours:
        settle(ours)
        before = pss_kib(ours.pid)
        with client.idle_connections(ours.port, CREDENTIALS, IDLE):
            return (pss_kib(ours.pid) - before) / IDLE


def idle(cloud: Cloud, directory: Path, seconds: float) -> Iterator[Figure]:
    """Measure CPU time and wake-ups without requests."""
    with sidecar(cloud, directory) as ours:
        settle(ours, seconds=3)
        cpu, woken = cpu_seconds(ours.pid), wake_ups(ours.pid)
        time.sleep(seconds)
        used = (cpu_seconds(ours.pid) - cpu) * 1000 * 60 / seconds
        per_second = (wake_ups(ours.pid) - woken) / seconds
    yield plain(f"idle CPU in 60 s (measured {seconds:g} s)", used, "ms", Goal(5, 0, " ms"))
    yield plain("idle wake-ups per second", per_second, "", Goal(0.1, 0))


def settle(ours: Sidecar, seconds: float = 1.0) -> None:
    """Wait until credentials are served and the work after the refresh is done."""
    client.until_200(ours.port, CREDENTIALS, since=time.perf_counter())
    client.until_200(ours.ops, "/readyz", since=time.perf_counter())
    time.sleep(seconds)


def read_with_probes(ours: Sidecar) -> None:
    """
    Read as an application does; every hundredth read is on a new connection.

    Between the reads come probes, scrapes, and a monitor that polls `/status.json`.
    """
    for start in range(0, READS, 100):
        with client.idle_connections(ours.port, CREDENTIALS, 1) as (sock,):
            for number in range(start, start + 99):
                client.get(ours.port, CREDENTIALS, sock)
                _probe(ours, number)


def _probe(ours: Sidecar, number: int) -> None:
    if number % PROBE_EVERY == 0:
        client.get(ours.ops, "/livez")
        client.get(ours.ops, "/readyz")
    if number % SCRAPE_EVERY == 0:
        client.get(ours.ops, "/metrics")
    if number % STATUS_EVERY == 0:
        client.get(ours.ops, "/status.json")
