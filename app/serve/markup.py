"""HTML that is escaped by construction: text becomes part of an element only through `element`, which escapes it."""

from __future__ import annotations

from html import escape

VOID = frozenset({"meta", "link"})
"""Elements without an end tag."""


class Markup(str):
    """HTML. Every other text is escaped when it becomes part of an element."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str | int | None) -> Markup:
    """
    Return an element. Attributes that are None are left out.

    Write `_` for `-` in the name of an attribute, and add a `_` to a Python keyword: `aria_label`, `class_`.
    """
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    end = "" if name in VOID else f"{joined(*children)}</{name}>"
    return Markup(f"<{name}{words}>{end}")


def joined(*children: str) -> Markup:
    """Return the children one after the other, each escaped unless it is Markup."""
    return Markup("".join(child if isinstance(child, Markup) else escape(child) for child in children))
