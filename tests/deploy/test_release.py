"""deploy/release and the release workflow: refused versions, pinned actions, least permissions, documented checks."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import __version__
from deploy.release.check_version import CHART, MANIFESTS, main, mistakes

from .conftest import ROOT

WORKFLOWS = ROOT / ".github" / "workflows"
TEXT = (WORKFLOWS / "release.yml").read_text()
JOBS: dict[str, Any] = yaml.safe_load(TEXT)["jobs"]
INSTALL = (ROOT / "docs" / "install.md").read_text()
GOOD = "# Changelog\n\n## 9.8.7 - 2026-01-02\n\n### Added\n\n- A thing.\n\n## 9.8.6 - 2025-01-01\n\n- Older.\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose files name version 9.8.7, with its entry in CHANGELOG.md."""
    (tmp_path / "CHANGELOG.md").write_text(GOOD)
    texts = {"app/__init__.py": '__version__ = "9.8.7"\n', CHART: 'version: 9.8.7\nappVersion: "9.8.7"\n'}
    texts |= dict.fromkeys(MANIFESTS, "image: idaas-credential-sidecar:9.8.7\n")
    for path, text in texts.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_good_version_prints_its_entry(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A version that every file names is accepted, and its entry is the text of the release."""
    assert main(["v9.8.7"], repository) == 0
    assert capsys.readouterr() == ("### Added\n\n- A thing.\n", "")


def test_chart_is_optional(repository: Path) -> None:
    """A repository without the chart is accepted."""
    shutil.rmtree(repository / "deploy" / "helm")

    assert main(["v9.8.7"], repository) == 0


@pytest.mark.parametrize(
    ("path", "before", "after", "message"),
    [
        ("CHANGELOG.md", "## 9.8.7", "## 9.8.8", "CHANGELOG.md: there is no heading `## 9.8.7 - YYYY-MM-DD`"),
        ("CHANGELOG.md", "2026-01-02", "unreleased", "CHANGELOG.md: `## 9.8.7 - unreleased` has no date"),
        ("CHANGELOG.md", "### Added\n\n- A thing.\n", "", "CHANGELOG.md: the entry of 9.8.7 is empty"),
        ("app/__init__.py", "9.8.7", "9.8.6", "app/__init__.py: names 9.8.6; the tag says 9.8.7"),
        (CHART, "appVersion: ", "other: ", f"{CHART}: names no version; the tag says 9.8.7"),
        (CHART, 'appVersion: "9.8.7"', 'appVersion: "9.8.6"', f"{CHART}: names 9.8.6; the tag says 9.8.7"),
        (MANIFESTS[0], "image: ", "image: registry.example.com/", None),
        (MANIFESTS[0], ":9.8.7", ":latest", f"{MANIFESTS[0]}: names latest; the tag says 9.8.7"),
        (MANIFESTS[1], "image:", "picture:", f"{MANIFESTS[1]}: names no version; the tag says 9.8.7"),
    ],
)
def test_wrong_version_is_refused(
    repository: Path, path: str, before: str, after: str, message: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that does not name the version, or an entry without date or text, is refused with one line."""
    text = (repository / path).read_text()
    assert before in text
    (repository / path).write_text(text.replace(before, after, 1))

    assert main(["v9.8.7"], repository) == (0 if message is None else 1)
    printed = capsys.readouterr()
    assert (message or "") in printed.err
    assert len(printed.err.splitlines()) == (0 if message is None else 1)
    assert (printed.out == "") is (message is not None)


@pytest.mark.parametrize("arguments", [[], ["9.8.7"], ["v9.8"], ["v9.8.7-beta"], ["v9.8.7\n"], ["v9.8.7", "v9.8.7"]])
def test_other_tags_are_refused(repository: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A tag of another form is refused."""
    assert main(arguments, repository) == 1
    assert "a tag such as v1.2.3" in capsys.readouterr().err


def test_this_repository_names_one_version() -> None:
    """Program, manifests and chart of this repository name one version; only CHANGELOG.md may lack the date."""
    assert [line for line in mistakes(ROOT, __version__) if not line.startswith("CHANGELOG.md: ")] == []


def test_version_is_checked_before_anything_is_built() -> None:
    """Each job needs the job that checks the version, directly or through another one."""
    needs = {
        name: {job["needs"]} if isinstance(job.get("needs"), str) else set(job.get("needs", []))
        for name, job in JOBS.items()
    }

    assert needs == {"check": set(), "files": {"check"}, "image": {"check"}, "publish": {"files", "image"}}
    assert 'python3 deploy/release/check_version.py "$GITHUB_REF_NAME"' in str(JOBS["check"]["steps"])


def test_actions_are_pinned() -> None:
    """Every action is pinned by a commit hash with its version beside it, and one action has one pin."""
    pins: dict[str, set[str]] = {}
    for path in WORKFLOWS.glob("*.yml"):
        for line in re.findall(r"uses: (.*)", path.read_text()):
            pin = re.fullmatch(r"([\w/-]+)@([0-9a-f]{40}) # v\d+\.\d+\.\d+", line)
            assert pin, line
            pins.setdefault(pin[1], set()).add(pin[2])

    assert {name for name, hashes in pins.items() if len(hashes) > 1} == set()


def test_permissions_are_least() -> None:
    """No permission by default; only the last job signs and releases, without code of the repository."""
    assert yaml.safe_load(TEXT)["permissions"] == {}
    writes = {
        name: {key for key, value in job["permissions"].items() if value == "write"} for name, job in JOBS.items()
    }
    assert writes == {
        "check": set(),
        "files": set(),
        "image": {"packages"},
        "publish": {"contents", "packages", "id-token", "attestations"},
    }
    assert "actions/checkout" not in str(JOBS["publish"])
    assert JOBS["publish"]["environment"] == "release"


def test_checkouts_keep_no_token() -> None:
    """No checkout leaves the token of the job in the working tree."""
    checkouts = [step for job in JOBS.values() for step in job["steps"] if "actions/checkout" in step.get("uses", "")]

    assert len(checkouts) == 3
    assert all(step["with"] == {"persist-credentials": False} for step in checkouts)


def test_both_platforms_are_built_and_joined() -> None:
    """An image is built for amd64 and arm64, each on its own runner, and both are joined by digest."""
    rows = {row["arch"]: row["runner"] for row in JOBS["image"]["strategy"]["matrix"]["include"]}

    assert rows == {"amd64": "ubuntu-24.04", "arm64": "ubuntu-24.04-arm"}
    assert all(f"artifacts/digest-{arch}/{arch}" in str(JOBS["publish"]) for arch in rows)


def test_documented_identity_is_that_of_the_workflow() -> None:
    """docs/install.md verifies signatures by this workflow, a tag that starts it, and the issuer of its tokens."""
    identity = re.findall(r"^WORKFLOW=(\S+)$", INSTALL, re.MULTILINE)
    commands = re.findall(r"^cosign \S+ .*$", INSTALL, re.MULTILINE)

    assert identity == [
        "https://github.com/$OWNER/idaas-credential-sidecar/.github/workflows/release.yml@refs/tags/v$VERSION"
    ]
    assert {command.split()[1] for command in commands} == {"verify", "verify-attestation", "verify-blob"}
    assert all('--certificate-identity "$WORKFLOW" --certificate-oidc-issuer "$ISSUER"' in each for each in commands)


def test_documented_names_are_those_that_are_published() -> None:
    """Image, chart and files in docs/install.md have the names that the workflow publishes."""
    publish = str(JOBS["publish"])

    assert "IMAGE=ghcr.io/$OWNER/idaas-credential-sidecar\n" in INSTALL
    assert "ghcr.io/${GITHUB_REPOSITORY_OWNER,,}/idaas-credential-sidecar" in publish
    assert "CHART=ghcr.io/$OWNER/charts/idaas-credential-sidecar\n" in INSTALL
    assert "oci://ghcr.io/${GITHUB_REPOSITORY_OWNER,,}/charts" in publish
    assert "SHA256SUMS.sigstore.json" in publish
    assert "SHA256SUMS.sigstore.json" in INSTALL
