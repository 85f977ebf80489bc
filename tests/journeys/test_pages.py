"""docs/start: a reader who types every command of a page, in its order, obtains credentials."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from ..deploy.pod_security import violations
from ..e2e.cloud import emulator_admin
from ..e2e.processes import EmulatedCloud, emulator
from ..e2e.users import needs_root
from .page import DOCS, PAGES, Step, needs_curl, steps
from .terminal import Terminal
from .world import Places, reader, world

NEEDS_ROOT = {"virtual-machine.md"}
"""The pages with several users."""

UNIT = DOCS.parent / "deploy" / "systemd" / "idaas-sidecar.service"
"""The unit that a page finds in the current directory. Its paths are replaced when it starts, by the same table."""


@pytest.fixture
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedCloud]:
    """The emulated cloud of the pages."""
    with emulator(home=tmp_path_factory.mktemp("cloud")) as running:
        emulator_admin(running.url, "PUT", "world", json.loads(world(running.issuer).to_json()))
        yield running


def pages() -> list[object]:
    """Return the names of the pages; those with several users need root."""
    return [pytest.param(name, marks=[needs_root] if name in NEEDS_ROOT else []) for name in PAGES]


@needs_curl
@pytest.mark.parametrize("name", pages())
def test_the_commands_of_the_page_work(name: str, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Each command succeeds, and prints the lines that the page shows."""
    places = Places.of(cloud, tmp_path)
    env = reader(cloud, places, tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    shutil.copy(UNIT, work)
    with ExitStack() as terminals:
        terminal = terminals.enter_context(Terminal(env, work))
        printed: list[str] = []
        for step in steps((DOCS / "start" / name).read_text()):
            text = places.here(step.text)
            match step.kind:
                case "file":
                    (work / step.name).write_text(text)
                case "run":
                    printed = terminal.run(text)
                case "serve":
                    terminal.serve(text, "credentials_issued")
                    terminal = terminals.enter_context(Terminal(env, work))
                case "output":
                    assert missing(text, printed) == [], f"{name}, line {step.line}: printed " + "\n".join(printed)


def missing(shown: str, printed: list[str]) -> list[str]:
    """Return the lines of the page that were not printed, in their order. An ellipsis stands for any text."""
    rest = iter(printed)
    patterns = (".*".join(map(re.escape, line.split("…"))) for line in shown.splitlines())
    return [pattern for pattern in patterns if not any(re.fullmatch(pattern, line) for line in rest)]


@pytest.mark.parametrize("name", PAGES)
def test_codes_exist(name: str) -> None:
    """Every code of a page is in the errors index."""
    codes = re.findall(r"IDS-\d+", (DOCS / "start" / name).read_text())
    index = (DOCS / "errors.md").read_text()

    assert codes
    assert [code for code in codes if f"### {code}\n" not in index] == []


def test_the_index_links_every_page() -> None:
    """docs/start/README.md has a row for each page."""
    index = (DOCS / "start" / "README.md").read_text()

    assert [name for name in PAGES if f"({name})" not in index] == []
    assert len(PAGES) == 5


def test_a_block_without_a_comment_is_an_error() -> None:
    """No code block of a page is left out."""
    assert steps("<!-- run -->\n```sh\ntrue\n```\n") == [Step("run", "", "true\n", 1)]
    with pytest.raises(AssertionError, match="line 2: no comment"):
        steps("\n```sh\ntrue\n```\n")


@pytest.mark.parametrize("name", [*PAGES, "README.md"])
def test_links_have_a_target(name: str) -> None:
    """Every link leads to a page that exists, and to a heading of it."""
    page = DOCS / "start" / name
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        file, _, fragment = target.partition("#")
        if "://" in target:
            continue
        linked = (page.parent / file).resolve()
        assert linked.exists(), target
        assert not fragment or fragment in anchors(linked.read_text()), target


def anchors(text: str) -> set[str]:
    """Return the anchors that code hosts make of the headings of a page."""
    headings = (line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_pod_is_restricted() -> None:
    """The pod of the page fits the Pod Security standard `restricted`."""
    (manifest,) = [step for step in steps((DOCS / "start" / "kubernetes.md").read_text()) if step.kind == "file"]
    (pod,) = [found for found in yaml.safe_load_all(manifest.text) if found["kind"] == "Pod"]

    assert violations(pod["spec"]) == []
