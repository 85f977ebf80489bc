"""A strict reader of the part of Terraform's language that `setup --format terraform` writes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[A-Za-z_][A-Za-z0-9_.]*|[0-9]+|[{}\[\](),=])')


@dataclass(frozen=True)
class Reference:
    """An attribute of another resource, or a resource."""

    address: str


class Reader:
    """Reads blocks and expressions. A construct that is not expected raises ValueError."""

    def __init__(self, text: str) -> None:
        lines = (line for line in text.splitlines() if not line.startswith("#"))
        self._tokens: list[str] = []
        rest = "\n".join(lines).strip()
        while rest:
            found = _TOKEN.match(rest)
            if found is None:
                raise ValueError(f"unexpected: {rest[:60]!r}")
            self._tokens.append(found[1])
            rest = rest[found.end() :].strip()
        self._tokens.reverse()

    def resources(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the attributes of each resource by type and label. The first block must be `terraform`."""
        self._expect("terraform")
        self._expect("{")
        self._expect("required_providers")
        self._body(self._object_end())
        self._expect("}")
        found: dict[tuple[str, str], dict[str, Any]] = {}
        while self._tokens:
            self._expect("resource")
            address = (self._string(), self._string())
            if address in found:
                raise ValueError(f"two resources {address}")
            found[address] = self._body(self._object_end())
        return found

    def _object_end(self) -> str:
        self._expect("{")
        return "}"

    def _body(self, end: str) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while self._tokens[-1] != end:
            token = self._next()
            name = _text(token) if token.startswith('"') else token
            if name in members:
                raise ValueError(f"two attributes {name}")
            self._expect("=")
            members[name] = self._value()
        self._expect(end)
        return members

    def _value(self) -> Any:
        token = self._next()
        if token == "{":
            return self._body("}")
        if token == "[":
            return self._list()
        if token == "jsonencode":
            self._expect("(")
            document = self._value()
            self._expect(")")
            return json.dumps(document)
        if token.startswith('"'):
            return _text(token)
        return int(token) if token.isdigit() else Reference(token)

    def _list(self) -> list[Any]:
        items = []
        while self._tokens[-1] != "]":
            items.append(self._value())
            if self._tokens[-1] != "]":
                self._expect(",")
        self._expect("]")
        return items

    def _string(self) -> str:
        return _text(self._next())

    def _next(self) -> str:
        return self._tokens.pop()

    def _expect(self, wanted: str) -> None:
        found = self._next()
        if found != wanted:
            raise ValueError(f"{wanted!r} expected, not {found!r}")


def _text(token: str) -> str:
    if re.search(r"(?<!\\)(?:\\\\)*\\[^nrt\"\\uU]", token):
        raise ValueError(f"{token}: an escape that HCL does not have")
    text = json.loads(re.sub(r"\\(U[0-9a-f]{8}|.)", _as_json, token))
    if re.search(r"(?<!\$)\$\{|(?<!%)%\{", text):
        raise ValueError(f"{token}: a template; only plain text is expected")
    return str(text).replace("$${", "${").replace("%%{", "%{")


def _as_json(escape: re.Match[str]) -> str:
    """Return an escape of HCL as one of JSON, which has no eight digits."""
    return json.dumps(chr(int(escape[1][1:], 16)))[1:-1] if escape[1].startswith("U") else escape[0]
