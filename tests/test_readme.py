"""README.md and its neighbours: usage, demo output, code blocks, links and named tests match the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app import __version__
from app.config.loader import load

from .e2e.processes import Process, environment

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
EMULATOR = (ROOT / "docs" / "emulator.md").read_text()
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()


def between(start: str, end: str) -> str:
    """Return the fenced text between two comments of docs/emulator.md."""
    part = EMULATOR.split(f"<!-- {start} -->")[1].split(f"<!-- {end} -->")[0]
    return part.split("```")[1].split("\n", 1)[1].strip("\n")


def test_make_run_output_is_that_of_demo(tmp_path: Path) -> None:
    """The output that docs/emulator.md shows for `make run` is that of `demo`, except for the ports."""
    with Process("demo", "--port", "0", env=environment(tmp_path)) as process:
        process.stdout.find(lambda line: line.startswith("Ctrl-C"))
        printed = "\n".join(process.stdout.lines())
        process.stop()

    assert without_ports(between("make run", "/make run")) in without_ports(printed)


def without_ports(text: str) -> str:
    """Replace the ports of local addresses."""
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)


KUBERNETES = (ROOT / "docs" / "kubernetes.md").read_text()
BLOCKS = re.findall(r"<!-- block (\S+) -->\n```\w+\n(.*?)```", KUBERNETES, re.DOTALL)


@pytest.mark.parametrize(("path", "text"), BLOCKS, ids=[path for path, _ in BLOCKS])
def test_blocks_match_the_deployed_files(path: str, text: str) -> None:
    """Every line of a block is in the tested file that it is copied from, in the same order."""
    deployed = iter([bare(line) for line in (ROOT / path).read_text().splitlines()])
    missing = [line for line in text.splitlines() if bare(line) not in deployed]

    assert missing == []


def bare(line: str) -> str:
    """Return a line without indentation and comment."""
    return re.sub(r"\s+# .*$", "", line).strip()


def test_kubernetes_is_shown() -> None:
    """The essential part of the manifest is on the page about Kubernetes."""
    assert [path for path, _ in BLOCKS] == ["deploy/kubernetes/sidecar.yaml"]


def test_the_configuration_works(tmp_path: Path) -> None:
    """The configuration that README.md says to save is valid as it stands in docs/configuration.md."""
    assert "docs/configuration.md#one-profile" in links(README)
    (section,) = re.findall(r"^## One profile\n(.*?)^## ", CONFIGURATION, re.DOTALL | re.MULTILINE)
    (text,) = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    path = tmp_path / "config.json"
    path.write_text(text)
    found = load(str(path), {"IDAAS_CLIENT_SECRET": "of-tests"}, hostname="host-1", now=lambda: 1e9)

    assert list(found.settings.profiles) == ["default"]
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("language", "path"),
    [
        ("python", "python/readme.py"),
        ("go", "go/readme/main.go"),
        ("java", "java/Example.java"),
        ("node", "node/readme.js"),
    ],
)
def test_examples_are_those_that_run(language: str, path: str) -> None:
    """The example of each language is the file that tests/interop/test_readme.py runs with the real SDK."""
    found = re.search(rf"<!-- sdk {language} -->\n```\w+\n(.*?)```", README, re.DOTALL)

    assert found is not None
    assert found[1] == (ROOT / "tests" / "interop" / path).read_text()


MOST_LINES = 160
"""README.md is for a reader in a hurry. The rest is in docs/."""


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_page_is_short(name: str) -> None:
    """The page has no more lines than a reader in a hurry reads."""
    assert len((ROOT / name).read_text().splitlines()) <= MOST_LINES


def blocks(page: str) -> list[str]:
    """Return the fenced blocks of a page, with their languages."""
    return re.findall(r"^```.*?^```$", page, re.DOTALL | re.MULTILINE)


def test_the_chinese_page_has_the_same_blocks() -> None:
    """README.zh-CN.md is the same page: the same code, links and tables; only words of the diagram may differ."""
    chinese = (ROOT / "README.zh-CN.md").read_text()
    english_blocks, chinese_blocks = blocks(README), blocks(chinese)

    assert english_blocks[0].startswith("```mermaid")
    assert english_blocks[1:] == chinese_blocks[1:]
    assert re.findall(r"<!-- .*? -->", README) == re.findall(r"<!-- .*? -->", chinese)
    assert links(README) - {"README.zh-CN.md"} == links(chinese) - {"README.md"}
    assert re.findall(r"^#+ ", README, re.MULTILINE) == re.findall(r"^#+ ", chinese, re.MULTILINE)


def links(page: str) -> set[str]:
    """Return where the links of a page lead."""
    return set(re.findall(r"\]\(([^)]+)\)", page))


PAGES = ["README.md", "ARCHITECTURE.md", "SECURITY.md", "RELIABILITY.md", "CONTRIBUTING.md", "CHANGELOG.md"]
PAGES += ["README.zh-CN.md", "docs/README.md", "docs/configuration.md", "docs/emulator.md", "docs/operations.md"]
PAGES += ["examples/README.md"]


@pytest.mark.parametrize("name", PAGES)
def test_links_and_named_tests_exist(name: str) -> None:
    """Every relative link has a target, and every test that a page names exists."""
    text = (ROOT / name).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    paths = re.findall(r"`((?:app|tests|deploy|bench)/[\w./-]+)", text)
    tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)

    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert [link for link in links if not (ROOT / name).parent.joinpath(link).exists()] == []
    assert [pair for pair in tests if f"def {pair[1]}(" not in (ROOT / pair[0]).read_text()] == []


@pytest.mark.parametrize(
    "path", ["deploy/kubernetes/sidecar.yaml", "deploy/compose/compose.yaml", "Dockerfile", "README.md"]
)
def test_manifests_name_this_version(path: str) -> None:
    """The images in the manifests have the version that they are tested with."""
    assert set(re.findall(r"idaas-credential-sidecar:([\w.]+)", (ROOT / path).read_text())) == {__version__}


def test_the_list_of_pages_is_complete() -> None:
    """docs/README.md links to each page of docs/."""
    docs = ROOT / "docs"
    pages = {str(path.relative_to(docs)) for pattern in ("*.md", "reference/*.md") for path in docs.glob(pattern)}

    assert pages - links((docs / "README.md").read_text()) == {"README.md"}
