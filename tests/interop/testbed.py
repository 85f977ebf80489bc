"""The emulated cloud and a `serve` in front of it as real processes. `serve` can be restarted on the same ports."""

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

from ..e2e.processes import DEADLINE, EmulatedCloud, emulator, environment, run, serve, wait_until
from .namespace import METADATA

PROFILES = ("default", "p2")
TRIPLE = ("AccessKeyId", "AccessKeySecret", "SecurityToken")
SECRET = {"IDAAS_SECRET": CLIENT_SECRET}
SAMPLE = re.compile(r"^idaas_sidecar_(\w+)\{(.*)\} (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')

Requests = Counter[tuple[str, str]]
"""The number of responses by endpoint and status."""

MARKER = ("healthz", "200")
"""Requests that no client sends. They tell whether a scrape is new enough."""


class Testbed:
    """Addresses for the clients, and the sessions and counters of the sidecar. `metadata`: use the ECS address."""

    __test__ = False

    def __init__(self, cloud: EmulatedCloud, home: Path, *, metadata: bool) -> None:
        self._cloud = cloud
        self._home = home
        self._markers = 0
        self._server = {"bind": "127.0.0.1:0", "ops": "127.0.0.1:0", "adminSocket": str(home / "admin.sock")}
        if metadata:
            self._server["metadata"] = f"{METADATA}:80"

    @property
    def config_path(self) -> Path:
        """The configuration of the last `serve`. It needs the variables in `SECRET`."""
        return self._home / "config.json"

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Run a new `serve` on the ports of the last one, and enter the block when all profiles have credentials."""
        with serve(configuration(self._cloud, self._server), home=self._home, env=SECRET) as sidecar:
            wait_until(lambda: http_request(f"{sidecar.urls['ops']}/readyz")[0] == 200)
            self._server |= {"bind": address(sidecar.urls["credentials"]), "ops": address(sidecar.urls["ops"])}
            self._markers = 0
            yield
            assert sidecar.process.stop() == 0

    @property
    def metadata_url(self) -> str:
        """The base URL of the ECS paths on the credentials listener, for clients with a configurable endpoint."""
        return f"http://{self._server['bind']}"

    def uri(self, profile: str) -> str:
        """Return the credentials URI of a profile."""
        base = f"{self.metadata_url}/credentials"
        return base if profile == "default" else f"{base}/{profile}"

    def session(self, profile: str = "default") -> dict[str, str]:
        """Return the three values of the profile's session, by a plain GET."""
        document = json.loads(get_text(self.uri(profile)))
        return {name: document[name] for name in TRIPLE}

    def requests(self) -> Requests:
        """Return the number of all requests of clients until now."""
        # A scrape may be as old as LONGEST_REUSE of the ops handler. A scrape that counts this marker is new enough.
        get_text(f"{self.metadata_url}/healthz")
        self._markers += 1
        wait_until(lambda: self._counted()[MARKER] == self._markers)
        return Requests({which: count for which, count in self._counted().items() if which != MARKER})

    def _counted(self) -> Requests:
        counts: Requests = Counter()
        for name, labels, count in self._samples():
            if name == "requests_total" and labels["listener"] != "ops":
                counts[labels["endpoint"], labels["code"]] += int(float(count))
        return counts

    def repair_cloud(self) -> None:
        """Remove all faults of the cloud."""
        self._set_faults()

    def shorten_sessions(self, seconds: float) -> None:
        """Make the cloud work and issue sessions that end after `seconds`."""
        self._set_faults({"kind": "sts", "times": None, "expirationOffset": seconds})

    def break_cloud(self) -> None:
        """Make the cloud respond with 503, and refresh until every profile has a failed attempt."""
        self._set_faults({"kind": "*", "times": None, "status": 503})
        run("refresh", "--config", str(self.config_path), env=environment(self._home))
        failures = [float(count) for name, _, count in self._samples() if name == "refresh_consecutive_failures"]
        assert len(failures) == len(PROFILES)
        assert min(failures) > 0

    def _set_faults(self, *faults: dict[str, Any]) -> None:
        for method, body in (("DELETE", ""), *(("POST", json.dumps(fault)) for fault in faults)):
            status, text = http_request(f"{self._cloud.url}/_emulator/faults", method, body)
            assert status == 200, text

    def _samples(self) -> Iterator[tuple[str, dict[str, str], str]]:
        for name, labels, value in SAMPLE.findall(get_text(f"http://{self._server['ops']}/metrics")):
            yield name, dict(LABEL.findall(labels)), value


@contextmanager
def run_testbed(home: Path, *, metadata: bool = False) -> Iterator[Testbed]:
    """Run an emulated cloud and yield a testbed for it."""
    with emulator(home=home) as cloud:
        yield Testbed(cloud, home, metadata=metadata)


def configuration(cloud: EmulatedCloud, server: dict[str, str]) -> dict[str, Any]:
    """Return a configuration in which each profile has a session name of its own."""
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
    """Return host and port of a URL."""
    return urlsplit(url).netloc


def get_text(url: str) -> str:
    """Send a GET and return the body. Fails unless the status is 200."""
    status, body = http_request(url)
    assert status == 200, body
    return body


def http_request(
    url: str, method: str = "GET", body: str = "", headers: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Send a request and return status and body. http.client uses no proxy."""
    to = urlsplit(url)
    connection = http.client.HTTPConnection(to.hostname or "", to.port, timeout=DEADLINE)
    try:
        connection.request(method, f"{to.path}?{to.query}" if to.query else to.path, body or None, dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()
