"""docs/conformance.md says what the command says."""

from __future__ import annotations

import json
from pathlib import Path

from app.conformance.report import document, text

from .changes import members
from .conftest import Looker

PAGE = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text()


def test_what_it_says(look: Looker) -> None:
    """The lines of the example are the command's own, in their order."""
    found = look(
        members(
            lambda body: body.update(
                {name: body[name][:-1] + ".123Z" for name in ("Expiration", "LastUpdated")},
                AssumedRoleUser={"RoleArn": "acs:ram::1:role/x"},
            )
        )
    )

    said = iter(text(found.survey).splitlines())
    example = PAGE.split("<!-- said -->\n```text\n")[1].split("\n```\n<!-- /said -->")[0]
    assert [line for line in example.splitlines() if line not in said] == []


def test_the_members_of_the_document(look: Looker) -> None:
    """Each member of the JSON document is named on the page."""
    told = json.loads(document(look().survey))

    names = {*told, *told["rules"][0], *told["clients"][0]}
    assert {name for name in names if f"`{name}`" not in PAGE} == set()
