"""
The page `/errors`: the errors index of this version, and the states of a profile, for an operator without the Internet.

Made from the table that the program uses, on the server, without scripts and foreign assets. The codes are anchors:
`/errors#IDS-401`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..core.error_index.entry import Entry
from ..core.error_index.index import AREAS
from ..core.values import STATES
from .markup import Markup, element, joined
from .status_style import STYLE


def render(version: str) -> str:
    """Return the page."""
    title = f"Errors and states of idaas-sidecar {version}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width,initial-scale=1"),
        element("link", rel="icon", href="data:,"),
        element("title", title),
        element("style", Markup(STYLE)),
    )
    body = element("body", _header(title), element("main", _states(), *_areas()))
    return Markup("<!doctype html>") + element("html", head, body, lang="en")


def _header(title: str) -> Markup:
    links = [element("li", element("a", name, href=f"#{_anchor(name)}")) for name in ("States of a profile", *AREAS)]
    words = "Every message about a failure ends with its code. Find the code with the search of the browser."
    return element(
        "header",
        element("h1", title),
        element("p", words, " ", element("a", "Status", href="status"), class_="muted"),
        element("nav", element("ul", *links), aria_label="Parts of this page"),
    )


def _states() -> Markup:
    return _section("States of a profile", _list((f"{state}", meaning) for state, meaning in STATES.items()))


def _areas() -> Iterator[Markup]:
    for name, entries in AREAS.items():
        yield _section(name, *(part for entry in entries for part in _entry(entry)))


def _entry(entry: Entry) -> Iterator[Markup]:
    yield element("h3", f"{entry.code}: {entry.meaning}", id=entry.code)
    seen = ", ".join((*entry.seen, *entry.words))
    cure = f"{entry.cure[:1].upper()}{entry.cure[1:].removesuffix('.')}."
    yield _list((("Cause", entry.cause), ("What to do", cure), *((("Servers say", seen),) if seen else ())))


def _section(title: str, *children: str) -> Markup:
    anchor = _anchor(title)
    return element("section", element("h2", title, id=anchor), *children, aria_labelledby=anchor)


def _list(facts: Iterable[tuple[str, str]]) -> Markup:
    return element("dl", *(joined(element("dt", name), element("dd", _prose(text))) for name, text in facts))


def _prose(text: str) -> Markup:
    """Return a text with what stands between backquotes as code."""
    parts = text.split("`")
    return joined(*(element("code", part) if index % 2 else part for index, part in enumerate(parts)))


def _anchor(title: str) -> str:
    return title.lower().replace(",", "").replace(" ", "-")
