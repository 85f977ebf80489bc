"""A real `demo` process, started once, and plain questions to it."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-m", "app", "demo", "--port", "0", "--json", "--profiles", "2"]
START_SECONDS = 30
STOP_SECONDS = 10
TRIPLE = ("AccessKeyId", "AccessKeySecret", "SecurityToken")
SAMPLE = re.compile(r"^idaas_sidecar_requests_total\{(.*)\} (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')


class Sidecar:
    """The running demo, as the one line it printed describes it."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.uri: str = told["credentialsUri"]
        self.metadata_url: str = told["metadataUrl"]
        self.ops_url: str = told["opsUrl"]
        self.variables = {name: value for name, value in told["env"].items() if name.startswith("ALIBABA_CLOUD_")}
        """What a client needs; the rest of `env` is for `serve`."""

    def uri_of(self, profile: str) -> str:
        return self.uri if profile == "default" else f"{self.uri}/{profile}"

    def held(self, profile: str) -> dict[str, str]:
        """The profile's three values, by a plain GET."""
        document = json.loads(got(self.uri_of(profile)))
        return {name: document[name] for name in TRIPLE}

    def answered(self) -> Counter[tuple[str, str]]:
        """How often each endpoint of the credentials listener gave each status."""
        counts: Counter[tuple[str, str]] = Counter()
        for labels, count in SAMPLE.findall(got(f"{self.ops_url}/metrics")):
            label = dict(LABEL.findall(labels))
            if label["listener"] == "credentials":
                counts[label["endpoint"], label["code"]] += int(float(count))
        return counts


def got(url: str) -> str:
    """The body of a 200; http.client knows of no proxy."""
    to = urlsplit(url)
    connection = http.client.HTTPConnection(to.hostname or "", to.port, timeout=10)
    try:
        connection.request("GET", to.path)
        response = connection.getresponse()
        body = response.read().decode()
    finally:
        connection.close()
    assert response.status == 200, body
    return body


def bare_environment(home: Path) -> dict[str, str]:
    """Nothing of this machine's: no proxy, no certificates, no AccessKey, and a home without configuration files."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home)}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return bare_environment(tmp_path)


@pytest.fixture(scope="session")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    home = tmp_path_factory.mktemp("demo")
    log = home / "stderr"
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            DEMO, cwd=ROOT, env=bare_environment(home), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr
        ) as demo,
    ):
        try:
            line = first_line(demo)
            assert line, f"demo printed nothing within {START_SECONDS} s:\n{log.read_text()}"
            yield Sidecar(json.loads(line))
        finally:
            stop(demo)


def first_line(process: subprocess.Popen[bytes]) -> bytes:
    """The one line, which is written at once and whole; empty if the process ended or took too long."""
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    return process.stdout.readline() if readable else b""


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
