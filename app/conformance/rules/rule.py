"""A rule of the server's side, and what a look at it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..wire.answer import NotAsked

Target = TypeVar("Target")

Problems = list[str]
"""What is wrong, in words that hold nothing of an answer but names, numbers and times."""

OK, BROKEN, ADVICE, NOT_SEEN, NOT_ASKED = "ok", "broken", "advice", "not seen", "not asked"


class NotSeen(Exception):
    """The rule has no case here, and why."""


@dataclass(frozen=True)  # no slots: a generic class with them cannot be made by its alias in Python 3.11
class Rule(Generic[Target]):
    """
    `number` is the rule's in the list of server rules that the clients imply; the words stand for those without one.

    `advice`: a server without it serves every client all the same.
    """

    number: str
    name: str
    meaning: str
    cure: str
    check: Callable[[Target], Problems]
    advice: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one rule. `advice`: not kept, and no client needs it; `not seen`: it has no case here."""

    protocol: str
    number: str
    name: str
    meaning: str
    verdict: str
    seen: tuple[str, ...]
    cure: str


def judge(rule: Rule[Target], target: Target, protocol: str) -> Finding:
    """One rule at one server."""
    try:
        problems = rule.check(target)
        verdict = OK if not problems else ADVICE if rule.advice else BROKEN
    except NotSeen as why:
        problems, verdict = [str(why)], NOT_SEEN
    except NotAsked as why:
        problems, verdict = [str(why)], NOT_ASKED
    return Finding(protocol, rule.number, rule.name, rule.meaning, verdict, tuple(problems), rule.cure)
