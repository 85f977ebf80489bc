"""The README runs: its usage, its demo, its blocks and its links are those of the program beside it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app import __version__

from .e2e.processes import Process, environment

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def between(start: str, end: str) -> str:
    """The fenced text between two comments."""
    part = README.split(f"<!-- {start} -->")[1].split(f"<!-- {end} -->")[0]
    return part.split("```")[1].split("\n", 1)[1].strip("\n")


def test_usage() -> None:
    """The usage block is what `--help` prints."""
    command = [sys.executable, "-m", "app", "--help"]
    shown = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        env={"COLUMNS": "100", "PATH": os.environ["PATH"]},
    )

    assert between("usage", "/usage") == shown.stdout.strip("\n")


def test_make_run(tmp_path: Path) -> None:
    """What `make run` is said to print is what `demo` prints, but for the ports."""
    with Process("demo", "--port", "0", env=environment(tmp_path)) as process:
        process.stdout.find(lambda line: line.startswith("Ctrl-C"))
        printed = "\n".join(process.stdout.so_far())
        process.stop()

    assert without_ports(between("make run", "/make run")) in without_ports(printed)


def without_ports(text: str) -> str:
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)


BLOCKS = re.findall(r"<!-- block (\S+) -->\n```\w+\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize(("path", "text"), BLOCKS, ids=[path for path, _ in BLOCKS])
def test_blocks_are_the_deployed_files(path: str, text: str) -> None:
    """Every line of a block to paste stands in the tested file that it is taken from, in the same order."""
    deployed = iter([bare(line) for line in (ROOT / path).read_text().splitlines()])
    missing = [line for line in text.splitlines() if bare(line) not in deployed]

    assert missing == []


def bare(line: str) -> str:
    """A line without indentation and comment."""
    return re.sub(r"\s+# .*$", "", line).strip()


def test_there_are_three_blocks() -> None:
    """Kubernetes, systemd and compose are shown."""
    assert [Path(path).parts[1] for path, _ in BLOCKS] == ["kubernetes", "systemd", "compose"]


PAGES = ["README.md", "ARCHITECTURE.md", "SECURITY.md", "RELIABILITY.md", "CONTRIBUTING.md", "CHANGELOG.md"]


@pytest.mark.parametrize("name", PAGES)
def test_links_and_tests_that_pages_name_exist(name: str) -> None:
    """A relative link leads somewhere, and a test that a page points to is there under that name."""
    text = (ROOT / name).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    paths = re.findall(r"`((?:app|tests|deploy|bench)/[\w./-]+)", text)
    tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)

    assert [path for path in links + paths if not (ROOT / path).exists()] == []
    assert [pair for pair in tests if f"def {pair[1]}(" not in (ROOT / pair[0]).read_text()] == []


@pytest.mark.parametrize("path", ["deploy/kubernetes/sidecar.yaml", "deploy/compose/compose.yaml", "Dockerfile"])
def test_the_manifests_name_this_version(path: str) -> None:
    """The images in the manifests are of the version that they are tested with."""
    assert set(re.findall(r"idaas-credential-sidecar:([\w.]+)", (ROOT / path).read_text())) == {__version__}
