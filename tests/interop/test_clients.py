"""Real client SDKs, each in a process of its own, against a real `serve` with the emulated cloud behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from .clients import CLIENTS, KITS, Away, Client, Costs, Kit, in_ci
from .program import Answer
from .stage import Requests
from .story import CALLS, STATIC, Story, play

Marks = Mapping[str, list[pytest.MarkDecorator]]
"""By the client's name."""

NONE: Marks = {}
HOLDS_A_TOKEN = pytest.mark.xfail(
    strict=True,
    reason="it keeps its metadata session token for 48 minutes, and a new sidecar refuses the old one's: 401",
)
FAIL: Marks = {name: [HOLDS_A_TOKEN] for name in ("ack-ecs", "ack-ecs-list", "ack-endpoint")}


def rows(*clients: Client, fail: Marks = NONE) -> list[object]:
    """The clients as parameters; those that cannot run are skipped, though never in CI."""
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
    """What so many calls cost: all answered with 200."""
    return Requests({(endpoint, "200"): count * calls for endpoint, count in costs.items()})


@pytest.mark.parametrize("client", rows(*CLIENTS))
def test_gets_what_the_sidecar_holds(client: Client, story: Story) -> None:
    """Every client reads the default profile's three values, as a plain GET does, on every call."""
    assert story.healthy[client.name].answers == [story.held["default"]] * CALLS


@pytest.mark.parametrize("client", rows(*(each for each in CLIENTS if each.takes_a_profile)))
def test_gets_the_profile_it_names(client: Client, story: Story) -> None:
    """By its URI, or as its ECS role name, every client reaches another profile than the default one."""
    assert story.held["p2"] != story.held["default"]
    assert story.other[client.name] == story.held["p2"]


@pytest.mark.parametrize("client", rows(*CLIENTS))
def test_asks_no_more_than_its_margin_says(client: Client, story: Story) -> None:
    """Five calls cost one fetch, unless the margin is as long as the session; and no request is refused or repeated."""
    costs = story.healthy[client.name].costs

    assert costs == times(1, client.costs) + times(CALLS - 1, client.again)


@pytest.mark.parametrize("client", rows(*CLIENTS))
def test_survives_a_restart(client: Client, story: Story) -> None:
    """While the sidecar is away a client gives what it keeps, if any; who asks again gets what the new one holds."""
    check(story.away[client.name], client.away, story.held["default"])

    assert story.held_back != story.held["default"]
    assert story.back[client.name] == (story.held_back if client.again else story.held["default"])


@pytest.mark.parametrize("client", rows(*CLIENTS))
def test_gets_valid_keys_while_the_cloud_is_down(client: Client, story: Story) -> None:
    """Every client gets what the sidecar still holds, though that is inside every margin and cannot be replaced."""
    before, after = story.held_down

    assert before == after
    assert [answers[client.name] for answers in story.down] == [before, before]


@pytest.mark.parametrize("client", rows(*CLIENTS))
def test_survives_without_the_sidecar_at_the_end_of_a_session(client: Client, story: Story) -> None:
    """Where every margin has begun, most ask on every call, and while the sidecar is away some of these raise."""
    check(story.away_at_the_end[client.name], client.away_at_the_end, story.held_down[-1])


@pytest.mark.parametrize("client", rows(*CLIENTS, fail=FAIL))
def test_finds_the_new_sidecar_at_the_end_of_a_session(client: Client, story: Story) -> None:
    """Then everybody that asks has the new session, at the latest after its back-off."""
    assert story.held_at_the_end != story.held_down[-1]
    assert story.back_at_the_end[client.name] == (story.held_at_the_end if client.margin else story.held_down[-1])


def check(answer: Answer, expected: Away, held: Answer) -> None:
    if expected == "keeps":
        assert answer == held
    else:
        assert set(answer) == {"error"}


@pytest.mark.interop
@pytest.mark.skipif(all(each.lacks for each in CLIENTS) and not in_ci(), reason="skipped: needs make interop-install")
def test_nobody_is_refused_while_the_cloud_is_down(story: Story) -> None:
    """All that the clients ask meanwhile is answered with 200."""
    assert {status for _, status in story.answered_down} == {"200"}


@pytest.mark.parametrize("client", rows(*CHAINS))
def test_static_keys_beat_the_sidecar(client: Client, story: Story) -> None:
    """The trap: with an AccessKey in the environment the default chain never asks the sidecar."""
    calls = story.static[client.name]

    assert {(each["AccessKeyId"], each["AccessKeySecret"]) for each in calls.answers} == {tuple(STATIC.values())}
    assert calls.costs == Requests()


@pytest.mark.parametrize("client", rows(*CHAINS))
def test_ecs_metadata_beats_the_uri(client: Client, story: Story) -> None:
    """The other trap: where a metadata service answers and is not switched off, no default chain asks the URI."""
    if not story.preferred:
        pytest.skip("skipped: needs root and ip (apt-get install iproute2)")
    calls = story.preferred[client.name]

    assert calls.answers == [story.held["default"]] * CALLS
    assert calls.costs["ecs_role", "200"] > 0
    assert calls.costs["credentials", "200"] == 0


@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.name)
def test_pins_are_hashes_and_name_no_registry(kit: Kit) -> None:
    """The locks install from whatever index the tools are set up for, and only what they have the hash of."""
    lock = kit.lock.read_text()

    assert re.search(r"sha256:|sha512-| h1:|^[0-9a-f]{64}  ", lock, re.MULTILINE)
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|\"resolved\"", lock)


PAGE = Path(__file__).parents[2] / "docs" / "clients-measured.md"
ROW = re.compile(r"^\| ([\w-]+) \| .* \| (.*) \| (.*) \| (.*) \| gets it \|$", re.MULTILINE)
WORDS = {"credentials": "URI", "ecs_token": "token", "ecs_list": "list", "ecs_role": "role"}


def test_the_page_tells_what_is_expected() -> None:
    """Every row of docs/clients-measured.md is a client here, with the costs and the restarts that the tests hold."""
    told = {name: tuple(cells) for name, *cells in ROW.findall(PAGE.read_text())}

    assert told == {each.name: (in_words(each), *restarts(each)) for each in CLIENTS}


def in_words(client: Client) -> str:
    costs = times(1, client.costs) + times(CALLS - 1, client.again)
    return ", ".join(f"{costs[name, '200']} {word}" for name, word in WORDS.items() if costs[name, "200"])


def restarts(client: Client) -> tuple[str, str]:
    kept = {"keeps": "keeps its key", "fails": "fails"}
    end = ", then refused" if client.name in FAIL else ", then new" if client.margin else ""
    return kept[client.away] + (", then new" if client.again else ""), kept[client.away_at_the_end] + end
