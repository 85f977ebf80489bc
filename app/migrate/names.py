"""Workloads as people name them: by the whole name of the report, or by its last part if only one workload has it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from ..core.errors import ConfigError, Mistake
from ..core.text import one_line, similar

_LISTED = 10
"""The most names that a message lists."""


def resolved(words: Iterable[str], known: Collection[str], option: str) -> Mapping[str, str]:
    """
    Return the whole name for each word. Raises ConfigError with each word that names no workload, or several.

    `option`: how the user gives the words, for the message. A use that is assigned to no workload would change the
    verdict on a key, so a misspelt name must not be ignored.
    """
    found, mistakes = {}, []
    for word in dict.fromkeys(words):
        names = [word] if word in known else sorted(name for name in known if word == _short(name))
        if len(names) == 1:
            found[word] = names[0]
        else:
            mistakes.append(_mistake(word, names, known, option))
    if mistakes:
        raise ConfigError.of(mistakes)
    return found


def _short(name: str) -> str:
    """Return the last part of a name: `app` of `shop/deployment/app`, `compose.yaml: app` and `app.service`."""
    return re.split(r"/|: ", name)[-1].removesuffix(".service")


def _mistake(word: str, names: Collection[str], known: Collection[str], option: str) -> Mistake:
    place = f"{option} {one_line(word)}"
    if names:
        return Mistake(f"{place}: {len(names)} workloads have this name", "IDS-125", f"write one of {_list(names)}")
    if not known:
        cure = "also give the file with the workload, such as output of kubectl get -o json or a compose file"
        return Mistake(f"{place}: the files contain no workload", "IDS-125", cure)
    by_word = {_short(name): name for name in known} | {name: name for name in known}
    close = similar(word, by_word)
    cure = f"did you mean {one_line(by_word[close])}?" if close else f"write one of {_list(known)}"
    return Mistake(f"{place}: no workload has this name", "IDS-125", cure)


def _list(names: Collection[str]) -> str:
    shown = ", ".join(map(one_line, sorted(names)[:_LISTED]))
    return f"{shown}, and {len(names) - _LISTED} more" if len(names) > _LISTED else shown
