"""
Refuse a release that the repository does not describe: `python3 deploy/release/check_version.py v0.2.0`.

The tag, CHANGELOG.md, the program, the manifests and the chart must name one version. The entry of CHANGELOG.md must
have a date. Prints the entry, which becomes the text of the release. Exit code 1 with one line for each mistake.
The script needs Python alone, because the workflow runs it before it installs anything.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

TAG = re.compile(r"v(\d+\.\d+\.\d+(?:-rc\.\d+)?)")
"""Releases and their candidates. Another tag publishes nothing."""

MANIFESTS = ("deploy/kubernetes/sidecar.yaml", "deploy/compose/compose.yaml")
CHART = "deploy/helm/idaas-credential-sidecar/Chart.yaml"


def entry(changelog: str, version: str) -> tuple[str, str] | None:
    """Return what follows the version in its heading, and the text of the entry. None without an entry."""
    found = re.search(
        rf"^## {re.escape(version)}(?: - ([^\n]*))?$\n(.*?)(?=^## |\Z)", changelog, re.DOTALL | re.MULTILINE
    )
    return None if found is None else (found[1] or "", found[2].strip())


def mistakes(root: Path, version: str) -> Iterator[str]:
    """Yield a line for each file that does not describe this version."""
    found = entry((root / "CHANGELOG.md").read_text(), version)
    if found is None:
        yield f"CHANGELOG.md: there is no heading `## {version} - YYYY-MM-DD`; write the entry"
    elif not re.fullmatch(r"\d{4}-\d{2}-\d{2}", found[0]):
        yield f"CHANGELOG.md: `## {version} - {found[0]}` has no date; write it as YYYY-MM-DD"
    elif not found[1]:
        yield f"CHANGELOG.md: the entry of {version} is empty; write what changed"
    yield from wrong(root, "app/__init__.py", r'^__version__ = "(.*)"$', version)
    for manifest in MANIFESTS:
        yield from wrong(root, manifest, r"image: \S*idaas-credential-sidecar:(\S+)", version)
    if (root / CHART).exists():
        for key in ("version", "appVersion"):
            yield from wrong(root, CHART, rf"^{key}: \"?([^\"\n]*)\"?$", version)


def wrong(root: Path, path: str, pattern: str, version: str) -> Iterator[str]:
    """Yield a line if the file names no version, or another one."""
    named = set(re.findall(pattern, (root / path).read_text(), re.MULTILINE))
    if named != {version}:
        yield f"{path}: names {', '.join(sorted(named)) or 'no version'}; the tag says {version}"


def main(arguments: list[str], root: Path) -> int:
    """Check the tag in `arguments`; return the exit code."""
    tag = TAG.fullmatch(arguments[0]) if len(arguments) == 1 else None
    if tag is None:
        sys.stderr.write("check_version: one argument is needed, a tag such as v1.2.3 or v1.2.3-rc.1\n")
        return 1
    lines = list(mistakes(root, tag[1]))
    sys.stderr.writelines(f"check_version: {line}\n" for line in lines)
    if lines:
        return 1
    _, text = entry((root / "CHANGELOG.md").read_text(), tag[1]) or ("", "")
    sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).parents[2]))
