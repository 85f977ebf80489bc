"""README.md and its neighbours: usage, demo output, code blocks, links and named tests match the program."""

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
    """Return the fenced text between two comments."""
    part = README.split(f"<!-- {start} -->")[1].split(f"<!-- {end} -->")[0]
    return part.split("```")[1].split("\n", 1)[1].strip("\n")


def test_usage_is_the_output_of_help() -> None:
    """The usage block equals the output of `--help`."""
    command = [sys.executable, "-m", "app", "--help"]
    result = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        env={"COLUMNS": "100", "PATH": os.environ["PATH"]},
    )

    assert between("usage", "/usage") == result.stdout.strip("\n")


def test_make_run_output_is_that_of_demo(tmp_path: Path) -> None:
    """The output that README.md shows for `make run` is that of `demo`, except for the ports."""
    with Process("demo", "--port", "0", env=environment(tmp_path)) as process:
        process.stdout.find(lambda line: line.startswith("Ctrl-C"))
        printed = "\n".join(process.stdout.so_far())
        process.stop()

    assert without_ports(between("make run", "/make run")) in without_ports(printed)


def without_ports(text: str) -> str:
    """Replace the ports of local addresses."""
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)


BLOCKS = re.findall(r"<!-- block (\S+) -->\n```\w+\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize(("path", "text"), BLOCKS, ids=[path for path, _ in BLOCKS])
def test_blocks_match_the_deployed_files(path: str, text: str) -> None:
    """Every line of a block is in the tested file that it is copied from, in the same order."""
    deployed = iter([bare(line) for line in (ROOT / path).read_text().splitlines()])
    missing = [line for line in text.splitlines() if bare(line) not in deployed]

    assert missing == []


def bare(line: str) -> str:
    """Return a line without indentation and comment."""
    return re.sub(r"\s+# .*$", "", line).strip()


def test_there_are_three_blocks() -> None:
    """There are blocks for Kubernetes, systemd and compose."""
    assert [Path(path).parts[1] for path, _ in BLOCKS] == ["kubernetes", "systemd", "compose"]


PAGES = ["README.md", "ARCHITECTURE.md", "SECURITY.md", "RELIABILITY.md", "CONTRIBUTING.md", "CHANGELOG.md"]


@pytest.mark.parametrize("name", PAGES)
def test_links_and_named_tests_exist(name: str) -> None:
    """Every relative link has a target, and every test that a page names exists."""
    text = (ROOT / name).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    paths = re.findall(r"`((?:app|tests|deploy|bench)/[\w./-]+)", text)
    tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)

    assert [path for path in links + paths if not (ROOT / path).exists()] == []
    assert [pair for pair in tests if f"def {pair[1]}(" not in (ROOT / pair[0]).read_text()] == []


@pytest.mark.parametrize("path", ["deploy/kubernetes/sidecar.yaml", "deploy/compose/compose.yaml", "Dockerfile"])
def test_manifests_name_this_version(path: str) -> None:
    """The images in the manifests have the version that they are tested with."""
    assert set(re.findall(r"idaas-credential-sidecar:([\w.]+)", (ROOT / path).read_text())) == {__version__}
