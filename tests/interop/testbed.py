"""The emulated cloud and `serve` before it, each a real process; `serve` can go and come back on the same ports."""

from __future__ import annotations

import http.client
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.emulator.world.world import CLIENT_ID, CLIENT_SECRET, INSTANCE_ID, PROVIDER_ARN, SCOPE, role_arn

from ..e2e.processes import EmulatedCloud, emulator, environment, run, serve, wait_until
from .namespace import METADATA

PROFILES = ("default", "p2")
TRIPLE = ("AccessKeyId", "AccessKeySecret", "SecurityToken")
SECRET = {"IDAAS_SECRET": CLIENT_SECRET}
SAMPLE = re.compile(r"^idaas_sidecar_(\w+)\{(.*)\} (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')

Requests = Counter[tuple[str, str]]
"""How often an endpoint answered with a status, by both."""

MARK = ("healthz", "200")
"""What no client asks."""


class Stage:
    """What the clients are told, and what the sidecar holds and counts. `metadata`: it also has the ECS address."""

    def __init__(self, cloud: EmulatedCloud, home: Path, *, metadata: bool) -> None:
        self._cloud = cloud
        self._home = home
        self._marks = 0
        self._server = {"bind": "127.0.0.1:0", "ops": "127.0.0.1:0", "adminSocket": str(home / "admin.sock")}
        if metadata:
            self._server["metadata"] = f"{METADATA}:80"

    @property
    def config_path(self) -> Path:
        """Of the last `serve`; the variables in `SECRET` go with it."""
        return self._home / "config.json"

    @contextmanager
    def serving(self) -> Iterator[None]:
        """A new `serve`, from when it has every profile's credentials until it has gone, on the ports of the last."""
        with serve(configuration(self._cloud, self._server), home=self._home, env=SECRET) as sidecar:
            wait_until(lambda: answer(f"{sidecar.urls['ops']}/readyz")[0] == 200)
            self._server |= {"bind": address(sidecar.urls["credentials"]), "ops": address(sidecar.urls["ops"])}
            self._marks = 0
            yield
            assert sidecar.process.stop() == 0

    @property
    def metadata_url(self) -> str:
        """The base of the ECS paths on the credentials listener, for clients that can be told it."""
        return f"http://{self._server['bind']}"

    def uri(self, profile: str) -> str:
        base = f"{self.metadata_url}/credentials"
        return base if profile == "default" else f"{base}/{profile}"

    def held(self, profile: str = "default") -> dict[str, str]:
        """The profile's three values, by a plain GET."""
        document = json.loads(got(self.uri(profile)))
        return {name: document[name] for name in TRIPLE}

    def answered(self) -> Requests:
        """All requests of clients so far."""
        # A scrape's answer may be as old as LONGEST_REUSE of the ops handler: the one that counts this request is not.
        got(f"{self.metadata_url}/healthz")
        self._marks += 1
        wait_until(lambda: self._counted()[MARK] == self._marks)
        return Requests({which: count for which, count in self._counted().items() if which != MARK})

    def _counted(self) -> Requests:
        counts: Requests = Counter()
        for name, labels, count in self._samples():
            if name == "requests_total" and labels["listener"] != "ops":
                counts[labels["endpoint"], labels["code"]] += int(float(count))
        return counts

    def mend_cloud(self) -> None:
        """The cloud works."""
        self._faults()

    def shorten(self, seconds: float) -> None:
        """The cloud works, and its sessions end after `seconds`."""
        self._faults({"kind": "sts", "times": None, "expirationOffset": seconds})

    def break_cloud(self) -> None:
        """Whatever the cloud is asked, it answers 503; the sidecar has asked, for every profile, in vain."""
        self._faults({"kind": "*", "times": None, "status": 503})
        run("refresh", "--config", str(self.config_path), env=environment(self._home))
        failures = [float(count) for name, _, count in self._samples() if name == "refresh_consecutive_failures"]
        assert len(failures) == len(PROFILES)
        assert min(failures) > 0

    def _faults(self, *faults: dict[str, Any]) -> None:
        for method, body in (("DELETE", ""), *(("POST", json.dumps(fault)) for fault in faults)):
            status, text = answer(f"{self._cloud.url}/_emulator/faults", method, body)
            assert status == 200, text

    def _samples(self) -> Iterator[tuple[str, dict[str, str], str]]:
        for name, labels, value in SAMPLE.findall(got(f"http://{self._server['ops']}/metrics")):
            yield name, dict(LABEL.findall(labels)), value


@contextmanager
def staged(home: Path, *, metadata: bool = False) -> Iterator[Stage]:
    """A stage whose cloud works."""
    with emulator(home=home) as cloud:
        yield Stage(cloud, home, metadata=metadata)


def configuration(cloud: EmulatedCloud, server: dict[str, str]) -> dict[str, Any]:
    """Each profile has a session of its own."""
    identity = {
        "idaasInstanceId": INSTANCE_ID,
        "clientId": CLIENT_ID,
        "issuer": cloud.issuer,
        "tokenEndpoint": f"{cloud.url}/api/v2/iauths_system/oauth2/token",
        "scope": SCOPE,
        "authnConfiguration": {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "IDAAS_SECRET"},
    }
    exchange = {"roleArn": role_arn("default"), "oidcProviderArn": PROVIDER_ARN, "endpoints": [cloud.url]}
    return {
        "configVersion": "1.0",
        "profiles": {
            name: {"identity": identity, "exchange": exchange | {"roleSessionName": name}} for name in PROFILES
        },
        "server": server,
    }


def address(url: str) -> str:
    return urlsplit(url).netloc


def got(url: str) -> str:
    """The body of a 200."""
    status, body = answer(url)
    assert status == 200, body
    return body


def answer(url: str, method: str = "GET", body: str = "", headers: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Status and body; http.client knows of no proxy."""
    to = urlsplit(url)
    connection = http.client.HTTPConnection(to.hostname or "", to.port, timeout=10)
    try:
        connection.request(method, f"{to.path}?{to.query}" if to.query else to.path, body or None, dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()
