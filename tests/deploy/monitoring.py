"""What deploy/monitoring contains: rules, dashboards and their expressions."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from .conftest import ROOT

FOLDER = ROOT / "deploy" / "monitoring"
DASHBOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").glob("*.json"))}
RULE = yaml.safe_load((FOLDER / "prometheusrule.yaml").read_text())
RULES = [rule for group in RULE["spec"]["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
POD_MONITOR = yaml.safe_load((FOLDER / "podmonitor.yaml").read_text())
SERVICE, SERVICE_MONITOR = yaml.safe_load_all((FOLDER / "servicemonitor.yaml").read_text())
APT = "apt-get install prometheus"


def rules_file() -> str:
    """Return the rules as Prometheus itself reads them: the specification of the PrometheusRule."""
    return yaml.safe_dump(RULE["spec"], sort_keys=False, width=1000)


def expressions(dashboard: dict[str, Any], interval: str, pod: str = ".*") -> dict[str, str]:
    """Return each expression of a dashboard by panel title and letter, with every variable but `pod` set to all."""
    return {
        f"{panel['title']} {target['refId']}": all_selected(re.sub(r"\$pod\b", pod, target["expr"]), interval)
        for panel in dashboard["panels"]
        for target in panel["targets"]
    }


def all_selected(expression: str, interval: str) -> str:
    """Return an expression as Grafana sends it when All is selected in each variable."""
    return re.sub(r"\$(namespace|pod|instance|profile)\b", ".*", expression.replace("$__rate_interval", interval))
