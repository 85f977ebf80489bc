"""docs/reference/: the pages are those that the code gives, and other pages mention only names that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.cli import errors
from app.cli.errors import EXIT_CODES
from app.cli.parser import build_parser
from app.config.json_schema import schema
from app.core.values import STATES
from app.observe.exposition import PREFIX
from app.observe.log_events import EVENTS
from app.serve.metrics import OUTCOMES
from app.webhook.serving.metrics import OUTCOMES as WEBHOOK_OUTCOMES
from app.webhook.serving.metrics import WEBHOOKS
from docs.reference import generate

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", generate.PAGES)
def test_the_page_is_generated(name: str) -> None:
    """Each committed page equals the output of the generator: `python -m docs.reference.generate` writes it."""
    assert (ROOT / "docs" / name).read_text() == generate.PAGES[name]()


# --- what the pages must contain --------------------------------------------------------------------------------------


def test_every_key_has_a_row() -> None:
    """The configuration page has a section for each object of the schema, with a row for each of its keys."""
    whole = schema()
    expected = sorted(list(part["properties"]) for part in (whole, *whole["$defs"].values()))
    parts = generate.configuration().split("\n## ")[1:]

    assert sorted(re.findall(r"^\| `([^`]+)` \|", part, re.MULTILINE) for part in parts) == expected


def test_links_lead_to_headings() -> None:
    """Every link within a page leads to a heading, and no two headings of a page have one anchor."""
    for text in (make() for name, make in generate.PAGES.items() if name.endswith(".md")):
        anchors = [generate.anchor(heading) for heading in re.findall(r"^## (.+)$", text, re.MULTILINE)]
        assert len(anchors) == len(set(anchors))
        assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= set(anchors)


def test_label_values_are_those_of_the_code() -> None:
    """The outcomes, refusal reasons and endpoints on the metrics page are those that the code uses."""
    sources = "".join(path.read_text() for path in (ROOT / "app/serve").rglob("*.py"))
    elsewhere = {"Remote", "Admin"}  # refusals of the operations listener and the admin socket, which are not counted
    reasons = set(re.findall(r'(?:deny|Denial)\(\s*"(\w+)"|denied="(\w+)"', sources))
    endpoints = set(re.findall(r'(?:LabelledResponse|Grant)\(.+, "(\w+)"|label = "(\w+)" if .+ else "(\w+)"', sources))

    assert set(generate.LABEL_VALUES["outcome"]) == set(OUTCOMES)
    assert set(generate.LABEL_VALUES["reason"]) == {max(found) for found in reasons} - elsewhere
    assert set(generate.LABEL_VALUES["endpoint"]) == {name for found in endpoints for name in found if name}
    assert set(generate.WEBHOOK_LABEL_VALUES["outcome"]) == set(WEBHOOK_OUTCOMES)
    assert set(generate.WEBHOOK_LABEL_VALUES["webhook"]) == set(WEBHOOKS)
    assert all(f"| `{state}` | " in generate.metrics() for state in STATES)


def test_http_errors_are_those_of_the_code() -> None:
    """The errors page has each `Code` and status that a response has."""
    sources = "".join(path.read_text() for path in (ROOT / "app/serve").rglob("*.py"))
    found = {(code, status) for status, code in re.findall(r'\berror\(\s*(\d+), "(\w+)"', sources)}
    denials = {f"AccessDenied.{reason}" for reason in re.findall(r'deny\(\s*"(\w+)"', sources)}
    shown = {(code, status) for code, (statuses, _) in generate.HTTP_ERRORS.items() for status in statuses.split(", ")}

    assert {pair for pair in shown if not pair[0].startswith("AccessDenied")} == found
    assert {code for code, _ in shown if code.startswith("AccessDenied")} == denials


def test_exit_codes_are_those_of_the_commands() -> None:
    """Each command and exit code has its row on the commands page."""
    _, commands = build_parser()
    text = generate.commands()

    assert all(f"## {name}\n" in text for name in commands.choices)
    assert {number for number in vars(errors).values() if isinstance(number, int)} <= set(EXIT_CODES)
    assert all(f"| {number} | " in text for number in EXIT_CODES)


# --- names on other pages ---------------------------------------------------------------------------------------------

PAGES = [
    ROOT / "README.md",
    ROOT / "SECURITY.md",
    ROOT / "RELIABILITY.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(path for path in (ROOT / "deploy").rglob("*") if path.is_file() and path.suffix != ".pyc"),
]
NAMES = r"((?:`[^`]+`(?:, and |, or |, | and | or )?)+)"


def named(word: str, text: str) -> set[str]:
    """The names in code that stand after `word` or its plural, or one before it."""
    lists = re.findall(rf"\b{word}s?\s+{NAMES}", text) + re.findall(rf"(`[^`]+`)\s+{word}s?\b", text)
    return {name for found in lists for name in re.findall(r"`([^`]+)`", found)}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_of_events_and_metrics_exist(path: Path) -> None:
    """A page names only log events and metrics that exist."""
    text = re.sub(r"\s+", " ", path.read_text())
    events = named("event", text) | set(re.findall(r'"event": ?"(\w+)"', text))
    metrics = {PREFIX + name.partition("{")[0].removeprefix(PREFIX) for name in named("metric", text)}
    metrics |= set(re.findall(rf"{PREFIX}\w+", text))

    assert events - set(EVENTS) == set()
    collectors = (generate.collector(), generate.webhook_collector())
    series = {sample.name for each in collectors for family in each.collect() for sample in family.samples}
    assert metrics - series - {name for name, *_ in generate.families()} == set()


def test_wrong_names_would_be_seen() -> None:
    """The check above reads names after and before the words event and metric."""
    text = "the event `one`, the events `two` and `three`, the `four` event; metrics `five`, `six`"

    assert named("event", text) == {"one", "two", "three", "four"}
    assert named("metric", text) == {"five", "six"}
