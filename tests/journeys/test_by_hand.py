"""docs/start/README.md: a reader without a cloud follows a page against the emulator, as the section says."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from ..e2e.processes import environment
from ..ports import unused_port
from .page import DOCS, needs_curl, steps
from .terminal import Terminal
from .test_pages import missing
from .world import Places, program

NAMES = ("idaas.md", "okta.md", "managed-role.md")
START = DOCS / "start"


def places(root: Path) -> tuple[Places, Places]:
    """Return the table of the ports, which the test's machine may use otherwise, and that of the pages' outputs."""
    first = unused_port(4)
    ports = {name: str(first + number) for number, name in enumerate(("7117", "7118", "7140", "7141"))}
    emulator = f"https://127.0.0.1:{first + 3}"
    hosts = dict.fromkeys(("https://example.aliyunidaas.com", "https://example.okta.com"), emulator)
    return Places(ports), Places({**ports, **hosts})


@needs_curl
@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_followed_without_a_cloud(name: str, tmp_path: Path) -> None:
    """Every command of the page succeeds against the emulator, and prints what the page shows."""
    ports, shown = places(tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    (work / "world.json").write_text(ports.here((START / "world.json").read_text()))
    env = environment(tmp_path) | program(tmp_path)
    start, trust, change, compare = (ports.here(step.text) for step in steps((START / "README.md").read_text()))
    with ExitStack() as terminals:
        terminals.enter_context(Terminal(env, work)).serve(start, '"caFile"')
        terminal = terminals.enter_context(Terminal(env, work))
        terminal.run(trust)
        printed: list[str] = []
        for step in steps((START / name).read_text()):
            text = ports.here(step.text)
            match step.kind:
                case "file":
                    (work / step.name).write_text(text)
                    terminal.run(change)
                case "run":
                    printed = terminal.run(re.sub(r"^sh ram\.sh$", ":", text, flags=re.MULTILINE))
                case "serve":
                    terminal.serve(text, "credentials_issued")
                    terminal = terminals.enter_context(Terminal(env, work))
                    terminal.run(trust)
                case "output":
                    lines = shown.here(step.text)
                    assert missing(lines, printed) == [], f"{name}, line {step.line}: printed " + "\n".join(printed)
        printed = terminal.run(compare)
        managed = name == "managed-role.md"  # a role without a provider in RAM
        assert [line for line in printed if line.startswith("ok       OIDC provider")] or managed, "\n".join(printed)


def test_the_section_names_the_file(tmp_path: Path) -> None:
    """The section links the file of the world, and the pages that it is for are those that this test follows."""
    text = (START / "README.md").read_text()
    titles = {name: re.search(rf"\[([^\]]+)\]\({re.escape(name)}\)", text) for name in NAMES}
    section = text.partition("## Follow a page by hand")[2].partition("\n## ")[0]

    assert "(world.json)" in section
    assert [name for name, title in titles.items() if title is None or title[1] not in section] == []
