"""The errors index against `upstream`: every code and message of a server leads to its entry, and none is unknown."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.error_index.entry import Entry
from app.core.error_index.exchange import EXCHANGE
from app.core.error_index.identity import IDENTITY
from app.core.error_index.index import INDEX
from app.core.error_index.network import NETWORK
from app.core.errors import Refused, Unreachable
from app.exchange import developer_api
from app.upstream.answers.errors import error_of
from app.upstream.answers.server_codes import meaning_of
from app.upstream.response import UpstreamResponse

EMULATOR = Path(__file__).parents[3] / "app/emulator"


def refused(code: str, message: str = "no") -> Refused | Unreachable:
    """Return the error that an OAuth error answer with `code` and `message` stands for."""
    body = json.dumps({"error": code, "error_description": message}).encode()
    return error_of(UpstreamResponse(400, body), "https://server.example", asked="the server")


ENTRIES = [entry for entry in (*IDENTITY, *NETWORK, *EXCHANGE) if entry.seen or entry.words]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.code)
def test_every_row_is_reached(entry: Entry) -> None:
    """Each code and each part of a message of an entry gives an error with the entry's stable code and effect."""
    by_code = [refused(seen.replace("*", ".Example")) for seen in entry.seen]
    by_words = [refused("some_code", f"Before {part} after.") for part in entry.words]

    assert {error.error_code for error in (*by_code, *by_words)} == {entry.code}
    for error in by_code:
        assert isinstance(error, Unreachable) is (entry.effect == "transient")
        assert (entry.effect == "renew_token") is getattr(error, "renew_token", False)
        assert (entry.effect == "withdrawn") is getattr(error, "withdrawn", False)
    assert [error.cure for error in by_words if entry.effect != "transient"] == [entry.cure] * len(entry.words)


def test_no_part_of_a_message_hides_another() -> None:
    """No part of a message stands within another one: the first that matches decides."""
    parts = [part for entry in ENTRIES for part in entry.words]

    assert [(a, b) for a in parts for b in parts if a != b and a in b] == []


def test_a_whole_code_counts_before_its_beginning() -> None:
    """An entry for a whole code wins over the entry for all codes that begin so."""
    assert refused("MissingRoleArn").error_code == "IDS-440"
    assert refused("MissingSecurityToken").error_code == "IDS-441"
    assert refused("InvalidParameter.DurationSeconds").error_code == "IDS-413"
    assert refused("EntityNotExist.Role").error_code == "IDS-412"
    assert meaning_of("Invalid") is None
    assert meaning_of("InvalidParamete") is None


# --- the emulated cloud -----------------------------------------------------------------------------------------------

OTHER_READERS = {
    "NotFound": "a path that the emulator does not serve",
    "BadRequest": "the metadata service, whose status `identity/ecs_metadata.py` reads",
    "Forbidden": "the metadata service, whose status `identity/ecs_metadata.py` reads",
}
"""Codes that `upstream.answers.errors` does not classify, each with its source."""


def refusals() -> Iterator[tuple[str, str]]:
    """Yield the place and the code of each refusal of the emulator; `*` stands for a value at the end of a code."""
    for path in sorted(EMULATOR.rglob("*.py")):
        tree = ast.parse(path.read_text())
        tables = {
            target.id: node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name) and isinstance(node.value, ast.Dict)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "RefusedError":
                yield from ((f"{path.name}:{node.lineno}", code) for code in written(node.args[0], tables))


def written(node: ast.expr, tables: dict[str, ast.Dict]) -> Iterator[str]:
    """Yield the codes that an expression can be."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=[ast.Constant(value=str(start)), *_]):
            yield f"{start}*"
        case ast.Call(func=ast.Attribute(value=ast.Name(id=table), attr="get"), args=[_, default]):
            yield from (value.value for value in tables[table].values if isinstance(value, ast.Constant))
            yield from written(default, tables)
        case ast.Name(id="code") | ast.Attribute(attr="code"):
            pass  # a fault: the code that a test chooses; or the code of another error
        case _:
            raise AssertionError(f"not a code: {ast.unparse(node)}")


SENT = sorted(set(refusals()))


def test_every_error_of_the_emulator_is_in_the_index() -> None:
    """Each code that the emulated cloud sends has an entry, so that a user of the real one finds it too."""
    known = {seen for entry in ENTRIES for seen in entry.seen} | set(developer_api._CODES)
    unknown = [
        (place, code)
        for place, code in SENT
        if code not in OTHER_READERS
        and code not in known
        and meaning_of(code) is None
        and not any(seen.startswith(code.removesuffix("*")) for seen in known if code.endswith("*"))
    ]

    assert unknown == []
    assert len(SENT) > 80
    assert set(OTHER_READERS) <= {code for _, code in SENT}


def test_every_authentication_failure_of_sts_is_in_the_index() -> None:
    """The suffixes of AuthenticationFail that the emulator sends are those of the index."""
    text = (EMULATOR / "sts/assume_role_with_oidc.py").read_text()
    sent = set(re.findall(r'_authentication_failure\(\s*"([A-Za-z.]+)"', text))

    assert len(sent) > 5
    assert {suffix for suffix in sent if meaning_of(f"AuthenticationFail.{suffix}") is None} == set()


def test_entries_of_servers_are_of_the_index() -> None:
    """The walk covers each entry of the index that names a code or a message of a server."""
    assert [entry for entry in INDEX.values() if entry.seen or entry.words] == ENTRIES or {
        entry.code for entry in ENTRIES
    } == {entry.code for entry in INDEX.values() if entry.seen or entry.words}
