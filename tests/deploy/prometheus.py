"""A real Prometheus in a temporary folder that scrapes loopback addresses."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import yaml

from ..e2e.processes import DEADLINE, OutputLines

Sample = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """A sidecar: the URL of its operations listener, and the labels that a PodMonitor would add."""

    ops_url: str
    namespace: str
    pod: str

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the target."""
        return {"namespace": self.namespace, "pod": self.pod, "container": "idaas-sidecar"}


@dataclass(frozen=True)
class Prometheus:
    """The HTTP API of a running Prometheus."""

    address: str

    def query(self, expression: str, at: float | None = None) -> list[Sample]:
        """Return the samples of an expression at a time, now by default. Fails if Prometheus refuses the expression."""
        moment = {} if at is None else {"time": at}
        result: list[Sample] = self._get("query", query=expression, **moment)["result"]
        return result

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Sample]:
        """Return the series of an expression from `start` to `end`."""
        result: list[Sample] = self._get("query_range", query=expression, start=start, end=end, step=step)["result"]
        return result

    def rules(self) -> list[Sample]:
        """Return all rules with their health and their alerts."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, path: str, **parameters: object) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self.address, timeout=DEADLINE)
        try:
            connection.request("GET", f"/api/v1/{path}?{urlencode(parameters)}")
            document = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        assert document["status"] == "success", document
        data: dict[str, Any] = document["data"]
        return data


def configuration(targets: Sequence[Target], relabelings: Sequence[dict[str, Any]]) -> str:
    """Return a configuration that scrapes the targets each second. `relabelings` are those of a monitor."""
    keys = {"action": "action", "sourceLabels": "source_labels", "regex": "regex"}
    scrape = {
        "job_name": "monitoring/idaas-sidecar",
        "static_configs": [{"targets": [urlsplit(item.ops_url).netloc], "labels": item.labels} for item in targets],
        "metric_relabel_configs": [{keys[key]: value for key, value in item.items()} for item in relabelings],
    }
    return yaml.safe_dump(
        {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [scrape],
        }
    )


@contextmanager
def prometheus(program: str, home: Path, config: str, rules: str) -> Iterator[Prometheus]:
    """Run Prometheus on a free port of loopback until the block ends."""
    (home / "prometheus.yaml").write_text(config)
    (home / "rules.yaml").write_text(rules)
    command = [
        program,
        f"--config.file={home / 'prometheus.yaml'}",
        f"--storage.tsdb.path={home / 'data'}",
        "--web.listen-address=127.0.0.1:0",
    ]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=home)
    assert process.stderr is not None
    log = OutputLines(process.stderr)
    try:
        log.find(lambda line: "Server is ready to receive web requests" in line)
        listening = log.find(lambda line: re.search(r'"Listening on" address=127\.0\.0\.1:[1-9]', line) is not None)
        yield Prometheus(listening.rpartition("address=")[2].strip())
    finally:
        process.kill()
        process.wait(DEADLINE)
        log.close()
