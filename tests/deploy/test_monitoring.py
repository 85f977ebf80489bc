"""deploy/monitoring: alerts that fire and stay quiet, panels of metrics that exist, monitors that fit the manifest."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.monitoring import COLUMNS, WIDTH, places

from ..golden_pods import GOLDEN
from .conftest import ROOT, tool
from .monitoring import (
    ALERTS,
    APT,
    DASHBOARDS,
    FOLDER,
    POD_MONITOR,
    RULE,
    RULES,
    SERVICE,
    SERVICE_MONITOR,
    expressions,
    rules_file,
)

METRICS = (ROOT / "docs" / "reference" / "metrics.md").read_text()
CASES = yaml.safe_load((FOLDER / "rules.test.yaml").read_text())["tests"]
PANELS = {
    f"{board} {name}": text for board in DASHBOARDS for name, text in expressions(DASHBOARDS[board], "5m").items()
}
RECORDED = {rule["record"] for rule in RULES if "record" in rule}

FOREIGN = {
    *("up", "ALERTS", "kube_pod_init_container_status_restarts_total", "kube_pod_container_status_restarts_total"),
    *("kube_job_status_start_time", "kube_job_failed", "kube_job_complete"),
}
"""Metrics of Prometheus itself and of kube-state-metrics."""

TARGET_LABELS = {"namespace", "pod", "instance", "container", "__name__"}
"""Labels that Prometheus adds, and the name of the metric."""

SEVERITIES = {"warning", "critical"}


@pytest.fixture(scope="module")
def promtool() -> str:
    """The path of promtool."""
    return tool("promtool", APT)


def output(*command: str, cwd: Path) -> str:
    """Run promtool and return its output. Fails with the output if promtool fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_rules_are_valid(promtool: str, tmp_path: Path) -> None:
    """promtool accepts every rule."""
    (tmp_path / "rules.yaml").write_text(rules_file())

    assert f"SUCCESS: {len(RULES)} rules found" in output(promtool, "check", "rules", "rules.yaml", cwd=tmp_path)


def test_alerts_fire_and_stay_quiet(promtool: str, tmp_path: Path) -> None:
    """Every case of rules.test.yaml holds: the alerts fire with the expected labels and texts, or stay quiet."""
    (tmp_path / "rules.yaml").write_text(rules_file())
    (tmp_path / "rules.test.yaml").write_text((FOLDER / "rules.test.yaml").read_text())

    assert "SUCCESS" in output(promtool, "test", "rules", "rules.test.yaml", cwd=tmp_path)


@pytest.mark.parametrize("alert", ALERTS)
@pytest.mark.parametrize("fires", [True, False], ids=["fires", "quiet"])
def test_each_alert_has_both_cases(alert: str, fires: bool) -> None:
    """Each alert has a case in which it fires, and one in which it stays quiet."""
    checks = [check for case in CASES for check in case["alert_rule_test"] if check["alertname"] == alert]

    assert any(bool(check["exp_alerts"]) is fires for check in checks)


def test_number_of_alerts() -> None:
    """docs/monitoring.md says how many alerts there are."""
    assert f"| {len(ALERTS)} alerts;" in (ROOT / "docs" / "monitoring.md").read_text()


@pytest.mark.parametrize("alert", ALERTS)
def test_alert_has_severity_and_texts(alert: str) -> None:
    """Each alert has a known severity, a summary, a description and the URL of its runbook entry."""
    rule = ALERTS[alert]

    assert alert.startswith("IdaasSidecar")
    assert rule["labels"]["severity"] in SEVERITIES
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}


@pytest.mark.parametrize("name", PANELS)
def test_panel_is_parsed(name: str, promtool: str, tmp_path: Path) -> None:
    """promtool parses the expression of each panel."""
    document = {"groups": [{"name": "panels", "rules": [{"record": "panel", "expr": PANELS[name]}]}]}
    (tmp_path / "panel.yaml").write_text(yaml.safe_dump(document))

    assert "SUCCESS" in output(promtool, "check", "rules", "panel.yaml", cwd=tmp_path)


def metric_names(expression: str) -> set[str]:
    """Return the names of the metrics that an expression reads."""
    bare = re.sub(r'"[^"]*"', "", expression)
    return set(re.findall(r"\b(?:idaas_sidecar|kube_pod|kube_job)[\w:]+|\bup\b|\bALERTS\b", bare))


def documented(name: str) -> bool:
    """Return whether the metrics reference has the metric, or the histogram of a series."""
    names = {name, re.sub(r"_(bucket|sum|count)$", "", name)}
    return any(f"| `{each}` |" in METRICS for each in names)


@pytest.mark.parametrize("expression", [*PANELS.values(), *(rule["expr"] for rule in RULES)])
def test_metrics_exist(expression: str) -> None:
    """Every metric of an expression is in the metrics reference, recorded by a rule, or of another known program."""
    names = metric_names(expression)

    assert names
    assert {name for name in names - FOREIGN - RECORDED if not documented(name)} == set()


@pytest.mark.parametrize("expression", [*PANELS.values(), *(rule["expr"] for rule in RULES)])
def test_labels_exist(expression: str) -> None:
    """Every selector uses labels that the metric has by the reference, or that Prometheus adds."""
    for name, selector in re.findall(r"(idaas_sidecar_\w+)\{([^}]*)\}", expression):
        base = name if f"| `{name}` |" in METRICS else re.sub(r"_(bucket|sum|count)$", "", name)
        (row,) = re.findall(rf"^\| `{base}` \| \w+ \| ([^|]*) \|", METRICS, re.MULTILINE)
        used = set(re.findall(r"(\w+)\s*=", re.sub(r'"[^"]*"', "", selector)))

        assert used - TARGET_LABELS - set(re.findall(r"`(\w+)`", row)) == set()


def test_dashboards() -> None:
    """There is a fleet view and a pod view; each panel has its place, and its query asks the chosen data source."""
    assert set(DASHBOARDS) == {"fleet", "pod"}
    for board in DASHBOARDS.values():
        variables = {variable["name"] for variable in board["templating"]["list"]}
        text = str(board["panels"])
        assert set(re.findall(r"\$\{?([a-z]\w*)", text)) <= variables
        assert all(
            target["datasource"]["uid"] == "${datasource}" for each in board["panels"] for target in each["targets"]
        )
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
        cells = [cell for panel in board["panels"] for cell in cells_of(panel["gridPos"])]
        assert len(cells) == len(set(cells)), "two panels overlap"
        assert max(x for x, _ in cells) == 23


def cells_of(place: dict[str, int]) -> list[tuple[int, int]]:
    """Return the cells of the grid that a panel covers."""
    columns, rows = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
    return [(x, y) for x in columns for y in rows]


@pytest.fixture
def sidecar() -> dict[str, Any]:
    """The sidecar's container in the Kubernetes manifest."""
    documents = yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "sidecar.yaml").read_text())
    (deployment,) = [document for document in documents if document["kind"] == "Deployment"]
    containers = deployment["spec"]["template"]["spec"]["initContainers"]
    (container,) = [item for item in containers if item["name"] == "idaas-sidecar"]
    return container


def test_monitors_find_the_sidecar(sidecar: dict[str, Any]) -> None:
    """The Service has the port, and the rules the container, of the Kubernetes manifest."""
    (port,) = SERVICE["spec"]["ports"]

    assert [item["containerPort"] for item in sidecar["ports"]] == [port["targetPort"]]
    assert f'container="{sidecar["name"]}"' in ALERTS["IdaasSidecarDown"]["expr"]


def ports_of(pod: str) -> list[dict[str, str]]:
    """Return the labels that Prometheus gives each named port of a pod: of the manifest, or a golden one."""
    path = ROOT / ("deploy/kubernetes/sidecar.yaml" if pod == "manifest" else f"tests/cluster/golden/{pod}.yaml")
    found = next(each for each in yaml.safe_load_all(path.read_text()) if each["kind"] in ("Deployment", "Pod"))
    spec = found["spec"]["template"]["spec"] if found["kind"] == "Deployment" else found["spec"]
    other = {"name": "app", "ports": [{"name": "ops"}, {"name": "idaas-ops"}]}
    return [
        {"container_name": container["name"], "container_port_name": port["name"], "phase": "Running"}
        for container in [*spec["initContainers"], other]
        for port in container.get("ports", ())
    ]


def kept(labels: dict[str, str], rules: list[dict[str, Any]]) -> bool:
    """Return whether the rules of a scrape configuration keep a target with these labels."""
    for rule in rules:
        if rule.get("action") in ("keep", "drop"):
            (source,) = rule["source_labels"]
            matches = re.fullmatch(rule["regex"], labels[source.removeprefix("__meta_kubernetes_pod_")]) is not None
            if matches != (rule["action"] == "keep"):
                return False
    return True


@pytest.mark.parametrize("pod", ["manifest", *sorted(path.stem for path in GOLDEN.glob("*.yaml"))])
def test_each_pod_is_scraped_once(pod: str) -> None:
    """PodMonitor and scrape configuration find the sidecar of the manifest and of injected pods, and nothing else."""
    page = (ROOT / "docs" / "monitoring.md").read_text()
    documented = yaml.safe_load(page.partition("<!-- scrape -->\n```yaml\n")[2].partition("```")[0])
    configurations = [
        [documented["scrape_configs"][0]["relabel_configs"]],
        # The Prometheus Operator makes one scrape configuration of each endpoint: its port, then its relabelings.
        [
            [
                {"action": "keep", "source_labels": ["container_port_name"], "regex": endpoint["port"]},
                *({**rule, "source_labels": rule["sourceLabels"]} for rule in endpoint["relabelings"]),
            ]
            for endpoint in POD_MONITOR["spec"]["podMetricsEndpoints"]
        ],
    ]
    for configuration in configurations:
        found = [labels["container_name"] for rules in configuration for labels in ports_of(pod) if kept(labels, rules)]
        assert found == ["idaas-sidecar"]


def test_service_monitor_selects_the_service() -> None:
    """The ServiceMonitor selects the Service and scrapes its port like the PodMonitor."""
    (endpoint,) = SERVICE_MONITOR["spec"]["endpoints"]
    pod_endpoint = POD_MONITOR["spec"]["podMetricsEndpoints"][0]
    labels = SERVICE_MONITOR["spec"]["selector"]["matchLabels"]

    assert labels.items() <= SERVICE["metadata"]["labels"].items()
    assert endpoint["port"] == SERVICE["spec"]["ports"][0]["name"]
    assert endpoint["metricRelabelings"][0] == pod_endpoint["metricRelabelings"][0]
    assert SERVICE["spec"]["publishNotReadyAddresses"] is True


def test_keys() -> None:
    """The objects of the Prometheus Operator have only keys that were compared with its API reference."""
    pod_endpoint = {"port", "path", "interval", "scrapeTimeout", "relabelings", "metricRelabelings"}

    assert [item["apiVersion"] for item in (POD_MONITOR, SERVICE_MONITOR, RULE)] == ["monitoring.coreos.com/v1"] * 3
    assert set(POD_MONITOR["spec"]) == {"namespaceSelector", "selector", "podMetricsEndpoints"}
    assert set(SERVICE_MONITOR["spec"]) == {"namespaceSelector", "selector", "endpoints"}
    assert {key for item in POD_MONITOR["spec"]["podMetricsEndpoints"] for key in item} == pod_endpoint
    assert {key for item in SERVICE_MONITOR["spec"]["endpoints"] for key in item} == pod_endpoint
    assert {key for group in RULE["spec"]["groups"] for key in group} == {"name", "rules"}
    assert {key for rule in RULES for key in rule} == {"record", "alert", "expr", "for", "labels", "annotations"}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_picture_has_every_panel(name: str) -> None:
    """The picture of the documentation has a place of its own for each panel, inside of the picture."""
    placed, height = places(DASHBOARDS[name])
    lefts_and_tops = [(place.left, place.top) for _, place in placed]

    titles = sorted(panel["title"] for panel, _ in placed)
    assert titles == sorted(panel["title"] for panel in DASHBOARDS[name]["panels"])
    assert len(set(lefts_and_tops)) == len(DASHBOARDS[name]["panels"])
    for panel, place in placed:
        assert place.left + place.width <= WIDTH
        assert place.top + COLUMNS[panel["type"]][1] <= height
    assert f"(monitoring-{name}.png)" in (ROOT / "docs" / "monitoring.md").read_text()
    assert (ROOT / "docs" / f"monitoring-{name}.png").stat().st_size < 400_000
