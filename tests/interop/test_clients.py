"""Real client SDKs, each in a process of its own, against a real `serve` with the emulated cloud."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .clients import CLIENTS, KITS, Client, Kit, RequestCounts, WhileStopped, in_ci
from .program import Result
from .scenario import CALLS, STATIC, Outcome, run_scenario
from .testbed import Requests


def rows(*clients: Client) -> list[object]:
    """Return the clients as parameters. Clients that cannot run are skipped, but never in CI."""
    return [pytest.param(each, id=each.name, marks=_marks(each)) for each in clients]


def _marks(client: Client) -> list[pytest.MarkDecorator]:
    missing = client.missing
    skip = pytest.mark.skipif(missing is not None and not in_ci(), reason=f"skipped: {missing}")
    return [pytest.mark.interop, skip]


CHAINS = [each for each in CLIENTS if each.protocol == "chain"]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The outcome of the scenario with all clients that can run."""
    missing = {client.name: client.missing for client in CLIENTS if client.missing is not None}
    assert not (in_ci() and missing), missing
    return run_scenario([client for client in CLIENTS if client.missing is None], tmp_path_factory.mktemp("interop"))


def times(calls: int, counts: RequestCounts) -> Requests:
    """Return the requests of that many calls, each with status 200."""
    return Requests({(endpoint, "200"): count * calls for endpoint, count in counts.items()})


@pytest.mark.parametrize("client", rows(*CLIENTS))
def test_gets_the_current_credentials(client: Client, outcome: Outcome) -> None:
    """On every call, every client reads the three values of the default profile that a plain GET returns."""
    assert outcome.healthy[client.name].results == [outcome.sessions["default"]] * CALLS


@pytest.mark.parametrize("client", rows(*(each for each in CLIENTS if each.takes_a_profile)))
def test_gets_the_profile_it_names(client: Client, outcome: Outcome) -> None:
    """Every client can use another profile than the default one, by its URI or its ECS role name."""
    assert outcome.sessions["p2"] != outcome.sessions["default"]
    assert outcome.other_profile[client.name] == outcome.sessions["p2"]


@pytest.mark.parametrize("client", rows(*CLIENTS))
def test_fetches_as_its_margin_says(client: Client, outcome: Outcome) -> None:
    """Five calls cause one fetch, unless the margin is as long as the session. No request is rejected or repeated."""
    requests = outcome.healthy[client.name].requests

    assert requests == times(1, client.first_call) + times(CALLS - 1, client.later_calls)


@pytest.mark.parametrize("client", rows(*CLIENTS))
def test_survives_a_restart(client: Client, outcome: Outcome) -> None:
    """While the sidecar is stopped a client uses what it keeps. A client that fetches then gets the new credentials."""
    check(outcome.stopped[client.name], client.while_stopped, outcome.sessions["default"])

    assert outcome.session_restarted != outcome.sessions["default"]
    assert outcome.restarted[client.name] == (
        outcome.session_restarted if client.later_calls else outcome.sessions["default"]
    )


@pytest.mark.parametrize("client", rows(*CLIENTS))
def test_gets_valid_keys_while_the_cloud_is_down(client: Client, outcome: Outcome) -> None:
    """Every client gets the session that the sidecar holds, although it is inside every margin and not replaced."""
    before, after = outcome.sessions_outage

    assert before == after
    assert [results[client.name] for results in outcome.outage] == [before, before]


@pytest.mark.parametrize("client", rows(*CLIENTS))
def test_survives_without_the_sidecar_at_the_end_of_a_session(client: Client, outcome: Outcome) -> None:
    """Inside every margin most clients fetch on every call, and some of them raise while the sidecar is stopped."""
    check(outcome.stopped_at_the_end[client.name], client.while_stopped_at_the_end, outcome.sessions_outage[-1])


@pytest.mark.parametrize("client", rows(*CLIENTS))
def test_finds_the_new_sidecar_at_the_end_of_a_session(client: Client, outcome: Outcome) -> None:
    """After the restart, every client that fetches has the new session, at the latest after its back-off."""
    assert outcome.session_at_the_end != outcome.sessions_outage[-1]
    assert outcome.restarted_at_the_end[client.name] == (
        outcome.session_at_the_end if client.margin else outcome.sessions_outage[-1]
    )


def check(result: Result, expected: WhileStopped, session: Result) -> None:
    """Check a result while the sidecar is stopped."""
    if expected == "keeps":
        assert result == session
    else:
        assert set(result) == {"error"}


@pytest.mark.interop
@pytest.mark.skipif(all(each.missing for each in CLIENTS) and not in_ci(), reason="skipped: needs make interop-install")
def test_no_request_is_rejected_while_the_cloud_is_down(outcome: Outcome) -> None:
    """Every request of the clients gets status 200."""
    assert {status for _, status in outcome.requests_outage} == {"200"}


@pytest.mark.parametrize("client", rows(*CHAINS))
def test_static_keys_take_precedence_over_the_sidecar(client: Client, outcome: Outcome) -> None:
    """With an AccessKey in the environment, the default chain sends no request to the sidecar."""
    calls = outcome.static_keys[client.name]

    assert {(each["AccessKeyId"], each["AccessKeySecret"]) for each in calls.results} == {tuple(STATIC.values())}
    assert calls.requests == Requests()


@pytest.mark.parametrize("client", rows(*CHAINS))
def test_ecs_metadata_takes_precedence_over_the_uri(client: Client, outcome: Outcome) -> None:
    """If a metadata service responds and is not disabled, no default chain requests the URI."""
    if not outcome.metadata_enabled:
        pytest.skip("skipped: needs root and ip (apt-get install iproute2)")
    calls = outcome.metadata_enabled[client.name]

    assert calls.results == [outcome.sessions["default"]] * CALLS
    assert calls.requests["ecs_role", "200"] > 0
    assert calls.requests["credentials", "200"] == 0


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
    """Return the requests of five calls, as the page writes them."""
    requests = times(1, client.first_call) + times(CALLS - 1, client.later_calls)
    return ", ".join(f"{requests[name, '200']} {word}" for name, word in WORDS.items() if requests[name, "200"])


def restarts(client: Client) -> tuple[str, str]:
    """Return the behaviour during the two restarts, as the page writes it."""
    during = {"keeps": "keeps its credentials", "fails": "fails"}
    after = ", then gets new" if client.later_calls else ""
    after_at_the_end = ", then gets new" if client.margin else ""
    return during[client.while_stopped] + after, during[client.while_stopped_at_the_end] + after_at_the_end
