"""The output of `doctor`: causes and cures apart, and no text of an internal error."""

from __future__ import annotations

import json

import pytest

from app.core.error_index.index import INDEX
from app.core.errors import ConfigError, Refused
from app.doctor import output
from app.doctor.finding import Step, failed, instruction, warning
from app.upstream.answers.errors import error_of
from app.upstream.answers.server_codes import CODES, MEANINGS_BY_WORDS
from app.upstream.response import UpstreamResponse


def test_cause_and_cure_are_printed_apart() -> None:
    """Each finding has a line with its cause and a line with its cure, in text and as members of the JSON output."""
    refused = Refused(
        "HTTP 404", status=404, code="x", cloud_message="no role; set one", error_code="IDS-412", cure="a"
    )
    step = Step(
        "exchange", "refused", findings=[failed(refused), warning("IDS-121", "a port is taken", "choose another")]
    )

    assert list(output.lines(step))[1:] == [
        '         IDS-412 HTTP 404; it says "no role; set one"',
        "         cure: a",
        "         IDS-121 a port is taken",
        "         cure: choose another",
    ]
    assert [(each["message"], each["cure"]) for each in output.document([step])["steps"][0]["findings"]] == [
        ('HTTP 404; it says "no role; set one"', "a"),
        ("a port is taken", "choose another"),
    ]


@pytest.mark.parametrize("seen", [*CODES, *(part for part, _ in MEANINGS_BY_WORDS)])
def test_an_error_of_a_server_has_its_cure_apart(seen: str) -> None:
    """A refusal has the cure of its entry beside the cause in a finding, and behind the cause in a log line."""
    meaning = CODES.get(seen) or dict(MEANINGS_BY_WORDS)[seen]
    code = seen.replace("*", "X") if seen in CODES else "other"
    answer = UpstreamResponse(400, json.dumps({"Code": code, "Message": f"words: {seen}"}).encode())
    error = error_of(answer, "https://sts.example", asked="STS")
    found = failed(error)

    assert found.code == error.error_code
    assert found.cure == instruction(INDEX[found.code].cure)
    assert found.cure not in found.message
    assert found.message.startswith("https://sts.example: HTTP 400 ")
    assert found.message.endswith('"')
    if isinstance(error, Refused):
        assert f": {meaning.cure}; it says" in str(error)
        assert f"place: {error.own_words}" == error.at("place").own_words


def test_internal_error_does_not_quote_its_text() -> None:
    """The text of an error that was not raised on purpose may quote a secret."""
    found = failed(ValueError("s3cr3t"))

    assert (found.code, "s3cr3t" in found.message) == ("IDS-901", False)
    assert failed(ConfigError("x", error_code="IDS-104")).code == "IDS-104"
