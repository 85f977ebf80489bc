"""Real client SDKs, each in a process of its own, against a real `serve` with the emulated cloud."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from .clients import CLIENTS, KITS, Away, Client, Costs, Kit, in_ci
from .program import Answer
from .testbed import Requests
from .scenario import CALLS, STATIC, Story, play

Marks = Mapping[str, list[pytest.MarkDecorator]]
"""Marks by the client's name."""

NONE: Marks = {}
KEEPS_ITS_TOKEN = pytest.mark.xfail(
    strict=True,
    reason="keeps its metadata token for 48 minutes, and a new sidecar rejects the tokens of the old one: 401",
)
FAIL: Marks = {name: [KEEPS_ITS_TOKEN] for name in ("ack-ecs", "ack-ecs-list", "ack-endpoint")}


def rows(*clients: Client, fail: Marks = NONE) -> list[object]:
    """Return the clients as parameters. Clients that cannot run are skipped, but never in CI."""
    return [pytest.param(each, id=each.name, marks=_marks(each) + fail.get(each.name, [])) for each in clients]


def _marks(client: Client) -> list[pytest.MarkDecorator]:
    lacks = client.lacks
    skip = pytest.mark.skipif(lacks is not None and not in_ci(), reason=f"skipped: {lacks}")
    return [pytest.mark.interop, skip]


CHAINS = [each for each in CLIENTS if each.protocol == "chain"]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    lacking = {client.name: client.lacks for client in CLIENTS if client.lacks is not None}
    assert not (in_ci() and lacking), lacking
    return play([client for client in CLIENTS if client.lacks is None], tmp_path_factory.mktemp("interop"))


def times(calls: int, costs: Costs) -> Requests:
    """Return the requests of that many calls, each with status 200."""
    return Requests({(endpoint, "200"): count * calls for endpoint, count in costs.items()})


@pytest.mark.parametrize("client", rows(*CLIENTS))
def test_gets_the_current_credentials(client: Client, story: Story) -> None:
    """On every call, every client reads the three values of the default profile that a plain GET returns."""
    assert story.healthy[client.name].answers == [story.held["default"]] * CALLS


@pytest.mark.parametrize("client", rows(*(each for each in CLIENTS if each.takes_a_profile)))
def test_gets_the_profile_it_names(client: Client, story: Story) -> None:
    """Every client can use another profile than the default one, by its URI or its ECS role name."""
    assert story.held["p2"] != story.held["default"]
    assert story.other[client.name] == story.held["p2"]


@pytest.mark.parametrize("client", rows(*CLIENTS))
def test_fetches_as_its_margin_says(client: Client, story: Story) -> None:
    """Five calls cause one fetch, unless the margin is as long as the session. No request is rejected or repeated."""
    costs = story.healthy[client.name].costs

    assert costs == times(1, client.costs) + times(CALLS - 1, client.again)


@pytest.mark.parametrize("client", rows(*CLIENTS))
def test_survives_a_restart(client: Client, story: Story) -> None:
    """While the sidecar is stopped a client uses what it keeps. A client that fetches then gets the new credentials."""
    check(story.away[client.name], client.away, story.held["default"])

    assert story.held_back != story.held["default"]
    assert story.back[client.name] == (story.held_back if client.again else story.held["default"])


@pytest.mark.parametrize("client", rows(*CLIENTS))
def test_gets_valid_keys_while_the_cloud_is_down(client: Client, story: Story) -> None:
    """Every client gets the session that the sidecar holds, although it is inside every margin and not replaced."""
    before, after = story.held_down

    assert before == after
    assert [answers[client.name] for answers in story.down] == [before, before]


@pytest.mark.parametrize("client", rows(*CLIENTS))
def test_survives_without_the_sidecar_at_the_end_of_a_session(client: Client, story: Story) -> None:
    """Inside every margin most clients fetch on every call, and some of them raise while the sidecar is stopped."""
    check(story.away_at_the_end[client.name], client.away_at_the_end, story.held_down[-1])


@pytest.mark.parametrize("client", rows(*CLIENTS, fail=FAIL))
def test_finds_the_new_sidecar_at_the_end_of_a_session(client: Client, story: Story) -> None:
    """After the restart, every client that fetches has the new session, at the latest after its back-off."""
    assert story.held_at_the_end != story.held_down[-1]
    assert story.back_at_the_end[client.name] == (story.held_at_the_end if client.margin else story.held_down[-1])


def check(answer: Answer, expected: Away, held: Answer) -> None:
    if expected == "keeps":
        assert answer == held
    else:
        assert set(answer) == {"error"}


@pytest.mark.interop
@pytest.mark.skipif(all(each.lacks for each in CLIENTS) and not in_ci(), reason="skipped: needs make interop-install")
def test_no_request_is_rejected_while_the_cloud_is_down(story: Story) -> None:
    """Every request of the clients gets status 200."""
    assert {status for _, status in story.answered_down} == {"200"}


@pytest.mark.parametrize("client", rows(*CHAINS))
def test_static_keys_take_precedence_over_the_sidecar(client: Client, story: Story) -> None:
    """With an AccessKey in the environment, the default chain sends no request to the sidecar."""
    calls = story.static[client.name]

    assert {(each["AccessKeyId"], each["AccessKeySecret"]) for each in calls.answers} == {tuple(STATIC.values())}
    assert calls.costs == Requests()


@pytest.mark.parametrize("client", rows(*CHAINS))
def test_ecs_metadata_takes_precedence_over_the_uri(client: Client, story: Story) -> None:
    """If a metadata service responds and is not disabled, no default chain requests the URI."""
    if not story.preferred:
        pytest.skip("skipped: needs root and ip (apt-get install iproute2)")
    calls = story.preferred[client.name]

    assert calls.answers == [story.held["default"]] * CALLS
    assert calls.costs["ecs_role", "200"] > 0
    assert calls.costs["credentials", "200"] == 0


@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.name)
def test_locks_have_hashes_and_name_no_registry(kit: Kit) -> None:
    """The locks install from the index that the tools are configured for, and only files whose hash they have."""
    lock = kit.lock.read_text()

    assert re.search(r"sha256:|sha512-| h1:|^[0-9a-f]{64}  ", lock, re.MULTILINE)
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|\"resolved\"", lock)


PAGE = Path(__file__).parents[2] / "docs" / "clients-measured.md"
ROW = re.compile(r"^\| ([\w-]+) \| .* \| (.*) \| (.*) \| (.*) \| works \|$", re.MULTILINE)
WORDS = {"credentials": "URI", "ecs_token": "token", "ecs_list": "list", "ecs_role": "role"}


def test_the_page_has_the_expectations() -> None:
    """Every row of docs/clients-measured.md is a client of this suite, with the expected requests and restarts."""
    documented = {name: tuple(cells) for name, *cells in ROW.findall(PAGE.read_text())}

    assert documented == {each.name: (requests_of_five_calls(each), *restarts(each)) for each in CLIENTS}


def requests_of_five_calls(client: Client) -> str:
    costs = times(1, client.costs) + times(CALLS - 1, client.again)
    return ", ".join(f"{costs[name, '200']} {word}" for name, word in WORDS.items() if costs[name, "200"])


def restarts(client: Client) -> tuple[str, str]:
    during = {"keeps": "keeps its credentials", "fails": "fails"}
    after = ", then gets new" if client.again else ""
    after_at_the_end = ", then rejected" if client.name in FAIL else ", then gets new" if client.margin else ""
    return during[client.away] + after, during[client.away_at_the_end] + after_at_the_end
