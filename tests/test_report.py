"""The status document: what it has of profiles, requests, failures and callers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.emulator import Emulator
from app.report import host_name
from app.serve.models import AttemptStatus, CallerStatus, FailureStatus, ProfileStatus, StatusDocument

from .clock import Clock
from .status_sample import PROBLEMS
from .test_service import Load, configuration, ready, request, running


def members(document: dict[str, Any]) -> dict[str, set[str]]:
    """Return the keys of each kind of object in a status."""
    profiles = document["profiles"]
    return {
        "status": set(document),
        "profile": {key for item in profiles for key in item},
        "failure": {key for item in profiles for key in item["failure"] or ()},
        "attempt": {key for item in profiles for attempt in item["attempts"] for key in attempt},
        "caller": {key for item in document["callers"] for key in item},
    }


MODELS = {
    "status": StatusDocument,
    "profile": ProfileStatus,
    "failure": FailureStatus,
    "attempt": AttemptStatus,
    "caller": CallerStatus,
}


async def test_status_document(loaded: Load, emulator: Emulator, clock: Clock) -> None:
    """`/status.json` has exactly the members of the OpenAPI document, and so has the sample that other tests use."""
    config = configuration("default", "p2", server={"bind": "127.0.0.1:0", "ops": "127.0.0.1:0"})
    config["profiles"]["p2"] |= {"required": False}
    config["profiles"]["p2"]["exchange"]["roleArn"] = "acs:ram::1234567890123456:role/absent"
    async with running(loaded(config), emulator, clock, listen=True) as site:
        await ready(site)
        await site.service.refreshers[1].settled()
        urls = site.service.urls()
        for path in ("/credentials", "/credentials/p2", "/credentials/nobody"):
            await request(urls["credentials"], path)
        async with asyncio.timeout(60):  # a thread looks the caller's process up
            while not (document := (await request(urls["ops"], "/status.json")).json())["callers"]:
                continue

    StatusDocument.model_validate(document)
    assert members(document) == members(PROBLEMS) == {name: set(model.model_fields) for name, model in MODELS.items()}
    good, bad = document["profiles"]
    assert (document["ready"], document["listeners"]) == (True, urls)
    assert (good["served"], good["state_meaning"]) == (1, "valid credentials, and the last refresh succeeded")
    assert good["life_seconds"] >= good["left_seconds"] > 3500
    assert [item["stage"] for item in good["attempts"][0]["stages"]] == ["token", "exchange"]
    assert (bad["state"], bad["served"], bad["attempts"][0]["outcome"]) == ("denied", 0, "refused")
    assert bad["failure"]["stage"] == "exchange"
    assert bad["failure"]["code"] == bad["attempts"][0]["code"]
    failure = bad["failure"]
    assert bad["last_error"] == f'{failure["message"]}: {failure["cure"]}; it says "{failure["cloud_message"]}"'
    assert bad["failure"]["cloud_message"]
    assert [(item["profile"], item["count"]) for item in document["callers"]] == [("default", 1)]


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "vm"),
        ({"POD_NAME": "orders-0"}, "orders-0"),
        ({"POD_NAME": "orders-0", "POD_NAMESPACE": "shop"}, "shop/orders-0"),
        ({"POD_NAMESPACE": "shop"}, "vm"),
    ],
)
def test_host_name(environ: dict[str, str], name: str) -> None:
    """The name is that of the pod, with its namespace where it is known, else that of the machine."""
    assert host_name(environ, "vm") == name
