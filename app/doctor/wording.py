"""
Cause and cure of a message of this program, which names what failed, and behind a semicolon what to do.

A log line and an answer need both in one sentence. A finding shows them apart, and `--json` has a member for each.
"""

from __future__ import annotations

import re

SAYS = '; it says "'
"""What stands before the other side's own words; these are never parted."""

ACTIONS = (
    *("activate", "add", "allow", "approve", "attach", "change", "choose", "configure", "copy", "correct", "create"),
    *("do", "enable", "give", "grant", "install", "keep", "leave", "let", "list", "make", "move", "name", "publish"),
    *("raise", "reduce", "remove", "rename", "repair", "replace", "report", "request", "restart", "run", "save"),
    *("send", "set", "start", "stop", "switch", "synchronise", "try", "unset", "update", "upgrade", "use", "write"),
)
"""Verbs with which a cure begins."""

_CURE = re.compile(rf"; (?=(?:{'|'.join((*ACTIONS, 'check', 'chmod', 'renew', 'see'))})\b).*", re.DOTALL)
_VAGUE = re.compile(r"(?:check|chmod|renew|see)\b|.*\b(?:it|there)\b", re.DOTALL)
"""A cure that points elsewhere, or that names its object with a pronoun: the errors index has a better one."""


def parted(message: str) -> tuple[str, str]:
    """Return the message's cause and its cure. The cure is empty where the message has none that stands alone."""
    own, says, words = message.partition(SAYS)
    found = _CURE.search(own)
    if found is None:
        return message, ""
    cure = found[0].removeprefix("; ")
    return own[: found.start()] + says + words, "" if _VAGUE.match(cure) else cure
