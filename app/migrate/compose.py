"""Services of a compose file: their variables, env files and mounted files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .access_keys import SDK_FILES, URI, of_command, of_variables
from .env_files import variables_of
from .workload import Workload

Given = Callable[[str], str | None]
"""Returns the text of another given file by its path; None if the file was not given."""

_IMAGE = re.compile(r"(^|/)idaas-credential-sidecar([:@]|$)")


def is_compose(value: object) -> bool:
    """Return whether `value` is a compose file."""
    return isinstance(value, dict) and isinstance(value.get("services"), dict)


def workloads(value: Mapping[str, Any], path: str, given: Given) -> Iterator[Workload]:
    """Yield the services of the compose file at `path`, except the sidecar itself."""
    for name, service in value["services"].items():
        if not isinstance(service, dict) or _IMAGE.search(str(service.get("image", ""))):
            continue
        found = Workload(f"{path}: {name}")
        variables: dict[str, str | None] = {}
        for file in _env_files(service.get("env_file")):
            place = os.path.normpath(os.path.join(os.path.dirname(path), file))
            text = given(place)
            if text is None:
                found.notes.add(f"env_file {file}: not among the files, so its variables are not known")
            else:
                variables |= variables_of(text)
        variables |= _environment(service.get("environment"))
        found.configured = variables.get(URI, "") != ""
        found.carriers |= set(of_variables(variables, ""))
        for key, words in _commands(service):
            found.carriers |= set(of_command(words, key))
        found.carriers |= set(of_variables(_environment(_mapping(service.get("build")).get("args")), "build argument "))
        for source in _mounts(service.get("volumes")):
            if any(part in source for part in (*SDK_FILES, ".aliyun", ".alibabacloud")):
                found.notes.add(f"volume {source}: mounts a default file of the SDKs; give that file, too")
        yield found


def _environment(value: object) -> dict[str, str | None]:
    """Return the variables. A value that comes from the shell or from `.env` is None."""
    if isinstance(value, dict):
        return {str(name): None if text is None else str(text) for name, text in value.items()}
    found: dict[str, str | None] = {}
    for item in value if isinstance(value, list) else ():
        name, separator, text = str(item).partition("=")
        found[name] = text if separator else None
    return found


def _commands(service: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the command lines of a service."""
    for key in ("entrypoint", "command"):
        yield key, service.get(key)
    yield "healthcheck", _mapping(service.get("healthcheck")).get("test")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _env_files(value: object) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        path = item.get("path") if isinstance(item, dict) else item
        if isinstance(path, str):
            yield path


def _mounts(value: object) -> Iterator[str]:
    for item in value if isinstance(value, list) else ():
        yield str(item.get("source", "")) if isinstance(item, dict) else str(item).partition(":")[0]
