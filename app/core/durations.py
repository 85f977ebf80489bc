"""Durations in words, for people who read a status."""

from __future__ import annotations

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def in_words(seconds: float) -> str:
    """Return a duration in its two largest units, such as `59 min 12 s`, rounded down: `0 s` is less than a second."""
    rest = max(0, int(seconds))
    words: list[str] = []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count or words or unit == "s":
            words.append(f"{count} {unit}")
    first, *others = words[:2]
    return " ".join([first, *(word for word in others if not word.startswith("0 "))])


def in_seconds(seconds: float) -> str:
    """Return the duration of one request or attempt, such as `0.25 s`."""
    return f"{seconds:.2f} s"
