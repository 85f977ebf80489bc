"""Files of a host: `.env` files, systemd units, and default files of the SDKs."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable

from .access_keys import URI, of_command, of_text, of_variables
from .workload import Carrier, Workload

_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")

_UNIT = re.compile(r"^\[(Unit|Service)\]", re.MULTILINE)


def is_unit(text: str) -> bool:
    """Return whether a text is a systemd unit or a drop-in of one."""
    return _UNIT.search(text) is not None


def variables_of(text: str) -> dict[str, str | None]:
    """Return the variables of a `.env` file, an EnvironmentFile of systemd, or a shell script that exports them."""
    found: dict[str, str | None] = {}
    for line in text.splitlines():
        match = _ASSIGNMENT.fullmatch(line)
        if match is not None:
            found[match[1]] = match[2].strip("\"'")
    return found


def unit(text: str, path: str, given: Callable[[str], str | None]) -> Workload:
    """Return a systemd unit. A drop-in, `NAME.service.d/FILE`, belongs to its unit."""
    parent = os.path.basename(os.path.dirname(path))
    found = Workload(parent.removesuffix(".d") if parent.endswith(".service.d") else os.path.basename(path))
    variables: dict[str, str | None] = {}
    for key, value in _settings(text):
        if key == "Environment":
            variables |= variables_of("\n".join(_words(value)))
        elif key == "EnvironmentFile":
            file = value.removeprefix("-")
            content = given(file)
            if content is None:
                found.notes.add(f"EnvironmentFile {file}: not among the files, so its variables are not known")
            else:
                variables |= variables_of(content)
        elif key == "PassEnvironment":
            variables |= dict.fromkeys(value.split())
        elif key.startswith("Exec"):
            found.carriers |= set(of_command(value, key))
    found.configured = URI in variables
    found.carriers |= set(of_variables(variables, ""))
    return found


def plain(text: str, path: str) -> Workload:
    """Return a file as a separate workload: its variables, and the AccessKeys elsewhere in the file."""
    found = Workload(path)
    variables = variables_of(text)
    found.configured = bool(variables.get(URI))
    found.carriers |= set(of_variables(variables, ""))
    known = {carrier.key for carrier in found.carriers}
    found.carriers |= {Carrier("the file", key) for key in of_text(text) if key not in known}
    return found


def _settings(text: str) -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n\s*", " ", text)
    pairs = (line.partition("=") for line in joined.splitlines() if not line.lstrip().startswith(("#", ";")))
    return [(key.strip(), value.strip()) for key, separator, value in pairs if separator]


def _words(value: str) -> list[str]:
    try:
        return shlex.split(value)
    except ValueError:
        return value.split()
