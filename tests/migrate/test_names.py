"""Names of workloads that the user gives: a misspelt one is never ignored, because it would change a verdict."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.cli import main
from app.cli.errors import BAD_USAGE
from app.core.errors import ConfigError
from app.migrate.names import resolved

from .samples import AK_VARIABLES, deployment, listed, served

KNOWN = ("shop/deployment/orders", "shop/deployment/web", "compose.yaml: app", "worker.service")


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("shop/deployment/orders", "shop/deployment/orders"),
        ("orders", "shop/deployment/orders"),
        ("app", "compose.yaml: app"),
        ("worker", "worker.service"),
    ],
)
def test_the_last_part_of_a_name_is_enough(word: str, name: str) -> None:
    """A workload is found by its whole name, and by its last part if no other workload has it."""
    assert resolved([word], KNOWN, "WORKLOAD") == {word: name}


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (KNOWN, "WORKLOAD appp: no workload has this name; did you mean compose.yaml: app?"),
        (("shop/deployment/web",), "WORKLOAD appp: no workload has this name; write one of shop/deployment/web"),
        ((), "WORKLOAD appp: the files contain no workload; also give the file with the workload"),
        (
            ("a/pod/appp", "b/pod/appp"),
            "WORKLOAD appp: 2 workloads have this name; write one of a/pod/appp, b/pod/appp",
        ),
        ([f"a/pod/x{n:02}" for n in range(12)], "write one of a/pod/x00, .*, a/pod/x09, and 2 more"),
    ],
    ids=["similar", "not similar", "no workload", "ambiguous", "long list"],
)
def test_a_name_of_no_workload(known: tuple[str, ...], message: str) -> None:
    """A name that no workload has, or several, is an error with the names that exist."""
    with pytest.raises(ConfigError, match=message) as caught:
        resolved(["appp"], known, "WORKLOAD")
    assert caught.value.error_code == "IDS-125"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a compose file, the output of kubectl, an audit log, an empty log and an earlier report."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "compose.yaml").write_text("services: {app: {image: shop}}\n")
    (tmp_path / "cluster.json").write_bytes(listed(deployment("orders", *AK_VARIABLES)))
    (tmp_path / "audit.jsonl").write_bytes(served("any-host", "2026-01-12T00:00:00.000Z"))
    (tmp_path / "empty.jsonl").write_bytes(b"\n")
    (tmp_path / "before.json").write_text('{"keys": [{"key": "a", "workloads": ["x/pod/web"], "carried_before": []}]}')
    return tmp_path


def test_the_example_of_the_help(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A log that is named with the last part of a service's name counts for this service."""
    assert main(["migrate", "report", "--json", "compose.yaml", "app=audit.jsonl"], {}) == 0
    made = json.loads(capsys.readouterr().out)

    assert [(row["workload"], row["state"]) for row in made["workloads"]] == [("compose.yaml: app", "sidecar")]
    assert made["unassigned"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("appp=audit.jsonl",), "WORKLOAD appp: no workload has this name; did you mean compose.yaml: app?"),
        (("appp=empty.jsonl",), "WORKLOAD appp: no workload has this name; did you mean compose.yaml: app?"),
        (("app=cluster.json",), "app=cluster.json: the file is not an audit log, status or metrics of a sidecar; give"),
        (("--ended", "web"), "--ended: has no effect without --before"),
        (
            ("--before", "before.json", "--ended", "wbe"),
            "--ended wbe: no workload has this name; did you mean x/pod/web",
        ),
        (("a=audit.jsonl", "b=audit.jsonl"), "WORKLOAD b: no workload has this name"),
    ],
)
def test_a_word_without_effect(
    directory: Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that would have no effect is bad usage, and nothing is printed instead of a report."""
    assert main(["migrate", "report", "compose.yaml", *arguments], {}) == BAD_USAGE
    printed = capsys.readouterr()

    assert printed.out == ""
    assert message in printed.err


def test_an_empty_log_of_a_workload(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The log of a workload that has used no credentials may be empty. It is no workload of its own."""
    assert main(["migrate", "report", "--json", "compose.yaml", "app=empty.jsonl"], {}) == 0
    assert [row["workload"] for row in json.loads(capsys.readouterr().out)["workloads"]] == ["compose.yaml: app"]


def test_a_workload_of_the_earlier_report_can_be_named(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A use may belong to a workload that only the earlier report has; it is listed with the workload."""
    arguments = ["migrate", "report", "compose.yaml", "--before", "before.json", "web=audit.jsonl"]
    assert main(arguments, {}) == 0
    assert "  workload web, session any-host, profile default" in capsys.readouterr().out
