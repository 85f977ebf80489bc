"""Finds texts that were meant to be replaced: variables in the forms of other tools, and placeholders of examples."""

from __future__ import annotations

import re

from ..core.display import HIDDEN, looks_random, shown_variable
from ..core.errors import Mistake
from ..core.text import quoted

_VARIABLE = re.compile(
    r"""(?<!\$)\$(?:env:)?(?P<shell>[A-Za-z_]\w*)               # shells, PowerShell
    | \$\((?P<kubernetes>[A-Za-z_]\w*)\)                        # Kubernetes, make
    | %(?![0-9A-Fa-f]{2}(?:%|[^A-Z_]))(?P<windows>[A-Za-z_]\w*)%  # cmd.exe; not the escapes of a URL
    | \{\{(?P<template>[^{}]{0,200})\}\}                        # Helm, Jinja, Go
    | \#\{(?P<octopus>[A-Za-z_][\w.]*)\}                        # Octopus, Azure DevOps
    | @(?P<autoconf>[A-Z][A-Z0-9_]*)@
    | <(?P<angles>[A-Za-z_]\w*)>""",
    re.ASCII | re.VERBOSE,
)

_FORMS = {
    "shell": "$NAME",
    "kubernetes": "$(NAME)",
    "windows": "%NAME%",
    "template": "{{ NAME }}",
    "octopus": "#{NAME}",
    "autoconf": "@NAME@",
    "angles": "<NAME>",
}

_EXAMPLE = re.compile(
    r"\[(?:[^\W\d]|[ -])+\]|<[^<>]+>|\{(?:[^\W\d]|[ -])+\}|(?<![a-z0-9])x{3,}(?![a-z0-9])|\*{3,}|\.{3,}|…"
    r"|(?<![a-z0-9])your[-_ ][\w-]+|(?<![A-Za-z0-9])(?-i:[Yy]our[A-Z])\w*|[您你]的\w*"
    r"|(?<![a-z0-9])(?:change|replace)[-_ ]?(?:me|this)(?![a-z0-9])|\A(?:todo|tbd|fixme|placeholder)\Z"
    r"|(?-i:__[A-Z][A-Z0-9_]*__)|\(\([\w.-]+\)\)|【[^【】]+】|«[^«»]+»"
    r"|(?<![a-z0-9])(?:enter|insert|put)[-_ ]\w[\w -]*[-_ ]here(?![a-z0-9])",
    re.IGNORECASE,
)
"""Placeholders in examples: `[region_id]`, `<client id>`, `{instance}`, `xxx`, `***`, `...`, `your_id`, `yourClientId`,
`changeme`, `__CLIENT_ID__`, `((client-id))`, `【应用ID】`, `ENTER_ID_HERE`."""

_LEFT_ALONE = re.compile(r"EnvVarName$|\.command\[(?!0\])|\.policy$|^metadata\.values|^\$schema$")
"""Keys whose values are for another program or RAM, or name a variable themselves."""

_REPLACED = re.compile(r"\$\{[^{}]*\}")
"""A variable that this program replaces. It looks like a placeholder in curly brackets."""

PLACEHOLDER, NOT_REPLACED = "IDS-109", "IDS-122"
"""Stable codes of the errors index."""


def example_in(value: str) -> str | None:
    """Return words for the placeholder of an example in a value, or None. They fit into a message."""
    found = _EXAMPLE.search(value)
    if found is None:
        return None
    # A secret may begin with `your-`. A message must not repeat it.
    return "a placeholder" if looks_random(found[0]) else f"the placeholder {quoted(found[0])}"


def variable_in(value: str) -> tuple[str, str] | None:
    """Return the form and the name of a variable in a value that this program does not replace, or None."""
    found = _VARIABLE.search(value)
    if found is None or found.lastgroup is None:
        return None
    name = found[found.lastgroup].strip("- \t\r\n")  # templates may have blanks or `-` within the brackets
    # A text that is not the name of a variable is not repeated: `{{ .Values.secret }}`, or a secret with a `$`.
    return _FORMS[found.lastgroup], name if shown_variable(name) != HIDDEN else "NAME"


def complaint(place: str, value: str) -> Mistake | None:
    """Return the mistake of a value of this program's own file in which something was not replaced, or None."""
    if _LEFT_ALONE.search(place):
        return None
    found = variable_in(value)
    if found is not None:
        form, name = found
        return Mistake(
            f"{place}: a variable in the form {form}, which is not replaced", NOT_REPLACED, f"write ${{{name}}}"
        )
    example = example_in(_REPLACED.sub("", value))
    if example is None:
        return None
    return Mistake(f"{place}: still has {example} of an example", PLACEHOLDER, "write your own value")
