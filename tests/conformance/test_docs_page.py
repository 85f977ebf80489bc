"""docs/conformance.md shows the command's own output and names every member of its JSON document."""

from __future__ import annotations

import json
from pathlib import Path

from app.conformance.report import to_json, to_text

from .conftest import Check
from .faults import members

PAGE = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text()


def test_the_example_is_the_commands_output(check: Check) -> None:
    """The command prints every line of the example, in the same order."""
    checked = check(
        members(
            lambda body: body.update(
                {name: body[name][:-1] + ".123Z" for name in ("Expiration", "LastUpdated")},
                AssumedRoleUser={"RoleArn": "acs:ram::1:role/x"},
            )
        )
    )

    printed = iter(to_text(checked.result).splitlines())
    example = PAGE.split("<!-- output -->\n```text\n")[1].split("\n```\n<!-- /output -->")[0]
    assert [line for line in example.splitlines() if line not in printed] == []


def test_every_member_of_the_json_document_is_on_the_page(check: Check) -> None:
    """The page names each member of the JSON document, of its rules and of its clients."""
    document = json.loads(to_json(check().result))

    names = {*document, *document["rules"][0], *document["clients"][0]}
    assert {name for name in names if f"`{name}`" not in PAGE} == set()
