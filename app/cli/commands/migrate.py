"""`migrate report`: list the workloads with an AccessKey, those that read from the sidecar, and keys to disable."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...core.errors import ConfigError
from ...core.text import one_line
from ...migrate import inputs, report
from ...migrate.access_keys import SDK_FILES
from ...system import files
from ...system.json_file import read_object


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Print the report."""
    names = [*arguments.files, *_default_files(arguments.home)]
    if not names:
        raise ConfigError(
            "no files",
            cure="give output of kubectl get -o json, a compose file, an .env file, a unit, or --home",
            error_code="IDS-125",
        )
    found = inputs.read(names, _read)
    before = read_object(arguments.before) if arguments.before else None
    made = report.make(found, days=arguments.days, before=before, ended=arguments.ended)
    if arguments.json:
        print(json.dumps(made))
    else:
        for line in _lines(made):
            print(line)
    return 0


def _read(path: str) -> bytes:
    if path != "-":
        return inputs.read_file(path)
    try:
        return files.read_stream(sys.stdin.buffer, inputs.LARGEST)
    except files.Unreadable as why:
        raise ConfigError(why.at("stdin"), error_code="IDS-102") from None


def _default_files(homes: Sequence[str]) -> list[str]:
    """Return the default files of SDKs and tools that exist below home directories."""
    places = (os.path.join(home, name) for home in homes for name in SDK_FILES)
    return [place for place in places if files.exists(place)]


def _lines(made: Mapping[str, Any]) -> Iterator[str]:
    yield "Workloads"
    for item in made["workloads"]:
        yield f"  {one_line(item['workload'])}: {item['state']}{_since(item)}"
        yield from _carried(item)
        for note in item["notes"]:
            yield f"    note: {one_line(note)}"
    if not made["workloads"]:
        yield "  none"
    if made["stores"]:
        yield ""
        yield "Places that still hold an AccessKey, and that no workload above uses"
        for item in made["stores"]:
            yield f"  {one_line(item['place'])}"
            yield from _carried(item)
    yield ""
    yield "AccessKeys"
    for item in made["keys"]:
        names = f": {', '.join(map(one_line, item['because_of']))}" if item["because_of"] else ""
        yield f"  {one_line(item['key'] or 'id not known')}: {item['verdict']}, {item['meaning']}{names}"
    if not made["keys"]:
        yield "  none"
    yield from _unassigned(made)
    if made["newest_evidence"]:
        yield ""
        yield f"The newest use of a sidecar in these files is of {made['newest_evidence']}."


def _carried(item: Mapping[str, Any]) -> Iterator[str]:
    for carrier in item["carries"]:
        yield f"    carries {carrier['key'] or 'a key whose id is not known'} in {one_line(carrier['place'])}"


def _since(item: Mapping[str, Any]) -> str:
    if item["read_last"] is None:
        return ""
    since = f"reads since {item['reads_since']}, " if item["reads_since"] else ""
    return f"; {since}last read at {item['read_last']}"


def _unassigned(made: Mapping[str, Any]) -> Iterator[str]:
    if not made["unassigned"]:
        return
    yield ""
    yield "Uses of a sidecar that belong to no workload above (name it: WORKLOAD=FILE)"
    for item in made["unassigned"]:
        named = f"workload {one_line(item['workload'])}, " if item["workload"] else ""
        session, profile = (one_line(item[key] or "-") for key in ("session", "profile"))
        yield f"  {named}session {session}, profile {profile}{_since(item)}"
