"""The status as lines for a terminal. Foreign text is escaped, because it could control the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..core.durations import in_seconds, in_words
from ..core.text import coded, one_line
from ..core.wording import OUTCOMES, TONES, Tone, verdict

BAR = 20
"""Characters of the bar that shows the remaining lifetime."""

COLOURS: Mapping[Tone, str] = {"good": "32", "warn": "33", "bad": "31"}
"""ANSI colours (ECMA-48, SGR)."""

_LABEL = 15


def lines(status: Mapping[str, Any], *, colour: bool, width: int) -> Iterator[str]:
    """Yield the lines. With `colour` each state is coloured. Long texts are wrapped at `width` columns."""
    text = _Text(colour=colour, width=max(60, width))
    yield f"{one_line(status['host'])}: {text.coloured(*verdict(status))}"
    yield from text.field("version", f"{status['version']}, up {in_words(status['uptime_seconds'])}")
    yield from text.field("configuration", f"{status['config']}, read {in_words(status['config_age_seconds'])} ago")
    if status["config_error"]:
        known = {"message": status["config_error"], "error_code": status.get("config_error_code")}
        for mistake in status.get("config_mistakes") or [known]:
            yield from text.field("not usable", coded(mistake["message"], mistake["error_code"]))
            if mistake.get("cure"):
                yield from text.field("what to do", mistake["cure"])
    if status["restart_needed"]:
        yield from text.field("needs restart", ", ".join(status["restart_needed"]))
    for name, url in status["listeners"].items():
        yield from text.field(name, url)
    for profile in status["profiles"]:
        yield ""
        yield from _profile(profile, text)
    yield from _callers(status, text)


class _Text:
    """Labelled fields, wrapped, and words in colour."""

    def __init__(self, *, colour: bool, width: int) -> None:
        self._colour = colour
        self._width = width

    def coloured(self, words: str, tone: Tone) -> str:
        return f"\033[{COLOURS[tone]}m{words}\033[0m" if self._colour else words

    def field(self, label: str, value: str) -> list[str]:
        """Return the lines of a label and its value. Further lines are indented below the value."""
        first, rest = f"  {one_line(label):<{_LABEL}}", " " * (_LABEL + 2)
        wrapped = textwrap.wrap(
            one_line(value), self._width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
        )
        return wrapped or [first.rstrip()]


def _profile(profile: Mapping[str, Any], text: _Text) -> Iterator[str]:
    state = profile["state"]
    meaning = profile["state_meaning"] + ("" if profile["required"] else " (not required)")
    shown = text.coloured(one_line(state), TONES.get(state, "warn"))
    yield f"{one_line(profile['profile'])}: {shown}, {one_line(meaning)}"
    session = f" (session {profile['session']})" if profile["session"] else ""
    yield from text.field("role", profile["role"] + session)
    yield from text.field("identity", profile["identity"])
    yield from text.field("time left", _time_left(profile))
    due = profile["next_refresh_seconds"]
    yield from text.field("next refresh", "under way" if due is None else f"in {in_words(due)}")
    yield from _last_error(profile, text)
    yield from _on_trial(profile, text)
    for index, attempt in enumerate(profile["attempts"]):
        yield from text.field("" if index else "attempts", _attempt(attempt))
    last = f", the last one at {profile['last_served_at']}" if profile["last_served_at"] else ""
    refused = f"; {profile['refused']} refused" if profile["refused"] else ""
    yield from text.field("requests", f"{profile['served']} served{last}{refused}")


def _time_left(profile: Mapping[str, Any]) -> str:
    left, life = profile["left_seconds"], profile["life_seconds"]
    if not life:
        return "no session is held"
    full = min(BAR, round(BAR * left / life))
    return f"[{'#' * full}{'.' * (BAR - full)}] {in_words(left)} of {in_words(life)}, until {profile['expires_at']}"


def _last_error(profile: Mapping[str, Any], text: _Text) -> Iterator[str]:
    if not profile["last_error"]:
        return
    failure = dict(profile["failure"] or {})
    times = f" ({profile['failures']} in a row)" if profile["failures"] > 1 else ""
    yield from text.field("last error", (failure.get("message") or profile["last_error"]) + times)
    if failure.get("meaning"):
        failure["meaning"] = f"{failure.get('error_code')}: {failure['meaning']}"
    yield from _explained(failure, ("cloud_message", "meaning", "cause", "cure"), text)


def _on_trial(profile: Mapping[str, Any], text: _Text) -> Iterator[str]:
    if not profile["on_trial"]:
        return
    failure = profile.get("on_trial_failure") or {}
    reason = coded(failure.get("message") or profile["on_trial"], profile.get("on_trial_code"))
    yield from text.field("on trial", f"the changed configuration does not serve yet: {reason}")
    yield from _explained(failure, ("cloud_message", "cure"), text)


LABELS = {"cloud_message": "cloud's words", "meaning": "meaning", "cause": "cause", "cure": "what to do"}
"""The labels of the members of a failure."""


def _explained(failure: Mapping[str, Any], keys: Sequence[str], text: _Text) -> Iterator[str]:
    for key in keys:
        if failure.get(key):
            yield from text.field(LABELS[key], failure[key])


def _attempt(attempt: Mapping[str, Any]) -> str:
    stages = ", ".join(f"{item['stage']} {in_seconds(item['seconds'])}" for item in attempt["stages"])
    code = f": {attempt['code']}" if attempt["code"] else ""
    words = OUTCOMES.get(attempt["outcome"], attempt["outcome"])
    return f"{attempt['at']} {words} after {in_seconds(attempt['seconds'])}{f' ({stages})' if stages else ''}{code}"


def _callers(status: Mapping[str, Any], text: _Text) -> Iterator[str]:
    found = [*status["callers"], *status["refused_callers"]]
    if not found and not status["denied"]:
        return
    yield ""
    yield "callers:"
    for item in found:
        who = "unknown" if item["uid"] is None else f"uid {item['uid']}"
        program = f" ({item['executable']})" if item["executable"] else ""
        many = "" if item["count"] == 1 else "s"
        result = f"request{many} refused: {item['reason']}" if item["reason"] else f"session{many}"
        yield from text.field(
            who, f"{item['profile'] or item['listener']}: {item['count']} {result}, last at {item['last_at']}{program}"
        )
    if status["denied"]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(status["denied"].items()))
        yield from text.field("refused", f"{reasons} (requests by reason)")
