"""`help IDS-nnn`: print an entry of the errors index. `parser` turns every other call of `help` into `--help`."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping

from ...core.error_index.index import INDEX
from ...core.errors import ConfigError
from ...core.text import similar
from ..errors import BAD_COMMAND_LINE


def run(arguments: Namespace, _environ: Mapping[str, str]) -> int:
    """Print meaning, cause and cure of a code. Raises ConfigError for a code that the index does not have."""
    code = arguments.name.upper()  # the codes are in capitals; people also type small letters
    entry = INDEX.get(code)
    if entry is None:
        close = similar(code, INDEX)
        cure = f"did you mean {close}?" if close else "docs/errors.md has all codes"
        raise ConfigError(f"unknown error code {code!r}", cure=cure, error_code=BAD_COMMAND_LINE)
    print(f"{code}: {entry.meaning}")
    for name, text in (("cause", entry.cause), ("cure", entry.cure), ("codes of servers", ", ".join(entry.seen))):
        if text:
            print(f"{name}: {text}")
    return 0
