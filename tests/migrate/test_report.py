"""The states of workloads, and when a key is safe to disable."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.errors import ConfigError
from app.migrate import report
from app.migrate.workload import Carrier, Found, Reading, Workload

NOW = 1_767_225_600.0
DAY = 86_400.0
ORDERS = "shop/deployment/orders"


def found(*workloads: Workload, readings: tuple[Reading, ...] = ()) -> Found:
    """Return what files with these workloads and uses say."""
    made = Found()
    for workload in workloads:
        made.workload(workload)
    for reading in readings:
        made.reading(reading)
    return made


def workload(name: str = ORDERS, *keys: str, **members: Any) -> Workload:
    """Return a workload that carries keys."""
    return Workload(name, carriers={Carrier("variable", key) for key in keys}, **members)


def reads(name: str = ORDERS, days: float = 10, until: float = NOW) -> Reading:
    """Return the use of a sidecar by a workload for so many days."""
    return Reading(name, "", "default", until - days * DAY, until)


def verdicts(made: dict[str, Any]) -> list[tuple[str | None, str, list[str]]]:
    """Return the verdict on each key, and the workloads that decide it."""
    return [(row["key"], row["verdict"], row["because_of"]) for row in made["keys"]]


BEFORE = report.make(found(workload(ORDERS, "LTAI…y001"), workload("shop/deployment/web", "LTAI…0002")), days=7)
"""A report from before the migration."""


@pytest.mark.parametrize(
    ("item", "readings", "state"),
    [
        (workload(ORDERS, "LTAI…y001"), (), "AccessKey"),
        (workload(ORDERS, "LTAI…y001", configured=True), (), "AccessKey and sidecar"),
        (workload(ORDERS, "LTAI…y001"), (reads(),), "AccessKey and sidecar"),
        (workload(), (reads(),), "sidecar"),
        (workload(configured=True), (), "sidecar, not used yet"),
        (workload(), (), "no AccessKey found"),
    ],
)
def test_states(item: Workload, readings: tuple[Reading, ...], state: str) -> None:
    """The state of a workload says whether it carries a key and whether it has or reads from a sidecar."""
    made = report.make(found(item, readings=readings), days=7)["workloads"][0]

    assert made["state"] == state
    assert made["reads_since"] == ("2025-12-22T00:00:00Z" if readings else None)


@pytest.mark.parametrize(
    ("readings", "verdict"),
    [
        ((), ("LTAI…y001", "in use", [ORDERS])),
        ((reads(),), ("LTAI…y001", "remove", [ORDERS])),
        ((reads(until=NOW - 3 * DAY), reads("shop/other")), ("LTAI…y001", "in use", [ORDERS])),
    ],
    ids=["does not read", "reads", "has stopped to read"],
)
def test_a_key_that_is_carried(readings: tuple[Reading, ...], verdict: tuple[str, str, list[str]]) -> None:
    """A carried key is in use unless every workload that carries it reads; then it has to be removed from them."""
    made = found(workload(ORDERS, "LTAI…y001"), workload("shop/other"), readings=readings)

    assert verdicts(report.make(made, days=7)) == [verdict]


@pytest.mark.parametrize(
    ("item", "days", "verdict"),
    [
        (workload(), 10, ("safe", [])),
        (workload(), 6, ("wait", [ORDERS])),
        (workload(notes={"envFrom secret a: not among the files"}), 10, ("wait", [ORDERS])),
        (workload(ORDERS, ""), 10, ("wait", [ORDERS])),
    ],
    ids=["long enough", "not long enough", "a file is missing", "a key without an id"],
)
def test_a_key_that_is_not_carried_any_more(item: Workload, days: float, verdict: tuple[str, list[str]]) -> None:
    """A key is safe only if the workloads that carried it have read for a week, and nothing else may carry it."""
    made = report.make(found(item, readings=(reads(days=days),)), days=7, before=BEFORE, ended=["shop/deployment/web"])

    assert made["keys"][1]["carried_before"] == [ORDERS]
    assert verdicts(made)[1] == ("LTAI…y001", *verdict)


def test_a_workload_that_is_in_no_file_blocks() -> None:
    """A workload of the earlier report that no file has may still carry the key, unless the user says that it ended."""
    only_orders = found(workload(), readings=(reads(),))
    made = report.make(only_orders, days=7, before=BEFORE)
    ended = report.make(only_orders, days=7, before=BEFORE, ended=["shop/deployment/web"])

    assert verdicts(made)[0] == ("LTAI…0002", "wait", ["shop/deployment/web"])
    assert verdicts(ended)[0] == ("LTAI…0002", "safe", [])


def test_evidence_without_a_beginning_is_not_long_enough() -> None:
    """Status and metrics know only the last use, so a key is not safe by them alone."""
    reading = Reading(ORDERS, "", "default", None, NOW)
    made = found(workload(), readings=(reading,))

    assert verdicts(report.make(made, days=7, before=BEFORE, ended=["shop/deployment/web"]))[1][1] == "wait"


def test_reports_can_follow_each_other() -> None:
    """Who carried a key is kept from report to report, so that the last step has all workloads."""
    second = report.make(found(workload(), readings=(reads(days=1),)), days=7, before=BEFORE)
    third = report.make(found(workload(), readings=(reads(),)), days=7, before=second, ended=["shop/deployment/web"])

    assert [row["verdict"] for row in third["keys"]] == ["safe", "safe"]


def test_uses_of_unknown_sessions() -> None:
    """A use that belongs to no workload is listed."""
    unknown = Reading("", "shop.gone-0", "p2", NOW, NOW)
    made = report.make(found(workload(), readings=(unknown,)), days=7)

    assert [(row["workload"], row["session"]) for row in made["unassigned"]] == [(None, "shop.gone-0")]
    assert made["newest_evidence"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize("before", [{}, {"keys": 1}, {"keys": [{"key": "a"}]}, {"keys": ["a"]}])
def test_before_must_be_a_report(before: dict[str, Any]) -> None:
    """Another JSON document than a report is an error."""
    with pytest.raises(ConfigError, match="--before: not the output of migrate report --json"):
        report.make(found(), days=7, before=before)


def test_a_key_in_a_place_that_no_workload_uses() -> None:
    """The key is not safe while a Secret holds it, and a key that was never in a workload is not safe afterwards."""
    made = found(workload(), readings=(reads(),))
    made.stores["shop/secret/ak"] = {Carrier("key id", "LTAI…y001"), Carrier("key other", "LTAI…0003")}
    second = report.make(made, days=7, before=BEFORE, ended=["shop/deployment/web"])
    third = report.make(found(workload(), readings=(reads(),)), days=7, before=second)

    assert second["stores"][0]["place"] == "shop/secret/ak"
    assert verdicts(second) == [
        ("LTAI…0002", "safe", []),
        ("LTAI…0003", "wait", ["shop/secret/ak"]),
        ("LTAI…y001", "wait", ["shop/secret/ak"]),
    ]
    assert [row["verdict"] for row in third["keys"]] == ["wait", "wait", "safe"]


def test_a_stored_key_without_an_id() -> None:
    """A place that holds a key whose id is not known may hold any key, so none is safe."""
    made = found(workload(), readings=(reads(),))
    made.stores["shop/secret/ak"] = {Carrier("key ACCESS_KEY_SECRET", "")}

    rows = report.make(made, days=7, before=BEFORE, ended=["shop/deployment/web"])["keys"]
    assert [row["verdict"] for row in rows] == ["wait", "wait", "wait"]
