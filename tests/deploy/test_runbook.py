"""docs/runbook.md, monitoring.md and install.md: an entry for each alert; commands and expressions that exist."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from app.cli.parser import build_parser

from .conftest import ROOT, tool
from .monitoring import ALERTS, APT, rules_file

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
MONITORING = (ROOT / "docs" / "monitoring.md").read_text()
PAGES = {"runbook.md": RUNBOOK, "monitoring.md": MONITORING, "install.md": (ROOT / "docs" / "install.md").read_text()}
PARSER, _ = build_parser()
SECTIONS = dict(re.findall(r"^## (\S[^\n]*)\n(.*?)(?=^## |\Z)", RUNBOOK, re.DOTALL | re.MULTILINE))
KUBECTL = {"apply", "create", "describe", "exec", "get", "label", "logs", "port-forward"}
"""Commands of kubectl that the pages use."""

TOOLS = {
    *("base64", "chronyc", "curl", "grep", "openssl", "promtool", "python", "sha256sum", "tail", "yq"),
    *("cosign", "docker", "gh", "git", "helm", "make", "pip", "python3"),
}
"""Further programs that the pages use."""


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a language."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", PAGES[page], re.DOTALL | re.MULTILINE)
    return found


LINES = [(page, line) for page in PAGES for block in blocks(page, "sh") for line in block.splitlines()]
QUERIES = [query.strip() for query in blocks("runbook.md", "promql")]


def test_each_alert_has_its_entry() -> None:
    """The entries of the runbook are the alerts, in the order of the rules' severity table."""
    named = re.findall(r"^\| `(IdaasSidecar\w+)` \| (\w+) \|", MONITORING, re.MULTILINE)

    assert sorted(SECTIONS) == sorted(ALERTS)
    assert list(SECTIONS) == [alert for alert, _ in named]
    assert {alert: rule["labels"]["severity"] for alert, rule in ALERTS.items()} == dict(named)


@pytest.mark.parametrize("alert", ALERTS)
def test_runbook_url_leads_to_the_entry(alert: str) -> None:
    """The URL of each alert ends with the anchor of its entry, which has commands or expressions to type."""
    url = ALERTS[alert]["annotations"]["runbook_url"]

    assert url.endswith(f"/docs/runbook.md#{alert.lower()}")
    assert re.search(r"^```(sh|promql)$", SECTIONS[alert], re.MULTILINE)


def commands(line: str) -> list[list[str]]:
    """Return the commands of a line as words: those of a pipe apart, without redirections and assignments."""
    parts: list[list[str]] = [[]]
    for word in shlex.split(line.replace("$NS", "shop").replace("$POD", "cart-0")):
        if word == "|":
            parts.append([])
        else:
            parts[-1].append(word)
    plain = [part[: part.index(">")] if ">" in part else part for part in parts]
    return [part for part in plain if not all("=" in word for word in part)]


@pytest.mark.parametrize(("page", "line"), LINES, ids=[line for _, line in LINES])
def test_command_exists(page: str, line: str) -> None:
    """Every command is one of idaas-sidecar with its options, of kubectl, or of a known program."""
    for words in commands(line):
        if words[0] == "kubectl":
            assert words[1] in KUBECTL
            words = words[words.index("--") + 1 :] if "--" in words else words
        if words[0] == "idaas-sidecar":
            assert PARSER.parse_args(words[1:]).command == words[1]
        else:
            assert words[0] in TOOLS | {"kubectl"}, words
        if words[0] == "make":
            assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text()
        for path in re.findall(r"(?:deploy|requirements)/[\w./-]+", line):
            assert (ROOT / path).exists()


@pytest.mark.parametrize("query", QUERIES)
def test_query_is_parsed(query: str, tmp_path: Path) -> None:
    """promtool parses the expressions of the runbook."""
    rules = {"groups": [{"name": "runbook", "rules": [{"record": "query", "expr": query}]}]}
    (tmp_path / "query.yaml").write_text(yaml.safe_dump(rules))

    assert promtool("check", "rules", "query.yaml", cwd=tmp_path) == 0


def test_scrape_configuration_is_valid(tmp_path: Path) -> None:
    """promtool accepts the scrape configuration of the page, with the rules that it names."""
    config = yaml.safe_load(blocks("monitoring.md", "yaml")[0])
    pods, _ = config["scrape_configs"]
    assert pods.pop("kubernetes_sd_configs") == [{"role": "pod"}]  # Debian builds Prometheus without this discovery
    (tmp_path / "rules.yaml").write_text(rules_file())
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(config))

    assert promtool("check", "config", "prometheus.yaml", cwd=tmp_path) == 0


def promtool(*arguments: str, cwd: Path) -> int:
    """Run promtool and return its exit code."""
    return subprocess.run(
        [tool("promtool", APT), *arguments], cwd=cwd, stdout=subprocess.DEVNULL, check=False
    ).returncode


def test_inhibit_rules_name_alerts() -> None:
    """The rules for Alertmanager name alerts that exist."""
    text = blocks("monitoring.md", "yaml")[1]

    assert yaml.safe_load(text)["inhibit_rules"]
    assert set(re.findall(r"IdaasSidecar\w+", text)) <= set(ALERTS)
