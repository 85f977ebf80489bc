"""A rule that a server must keep, and what checking it found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..wire.budget import BudgetExhausted

Endpoint = TypeVar("Endpoint")

Problems = list[str]
"""What is wrong. The texts contain nothing of a response but names, numbers and times."""

OK, BROKEN, ADVICE, NOT_SEEN, NOT_ASKED = "ok", "broken", "advice", "not seen", "not asked"


class NotApplicable(Exception):
    """The rule has no case at this server. The message says why."""


@dataclass(frozen=True)  # no slots: a generic class with them cannot be made by its alias in Python 3.11
class Rule(Generic[Endpoint]):
    """
    One rule. Name and number together identify it in a report.

    `number` is the number in the list of server rules that the clients imply, or a word for the rules without one.
    `advice`: a server that breaks the rule still works with every client.
    """

    number: str
    name: str
    meaning: str
    cure: str
    check: Callable[[Endpoint], Problems]
    advice: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """
    What checking one rule found.

    `verdict` is `ok` or `broken`. `advice`: broken, but no client needs the rule. `not seen`: the rule has no case at
    this server. `not asked`: the budget was exhausted before.
    """

    protocol: str
    number: str
    name: str
    meaning: str
    verdict: str
    seen: tuple[str, ...]
    cure: str


def evaluate(rule: Rule[Endpoint], endpoint: Endpoint, protocol: str) -> Finding:
    """Check one rule at one endpoint."""
    try:
        problems = rule.check(endpoint)
        verdict = OK if not problems else ADVICE if rule.advice else BROKEN
    except NotApplicable as error:
        problems, verdict = [str(error)], NOT_SEEN
    except BudgetExhausted as error:
        problems, verdict = [str(error)], NOT_ASKED
    return Finding(protocol, rule.number, rule.name, rule.meaning, verdict, tuple(problems), rule.cure)
