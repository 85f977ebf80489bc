"""The margins of known clients, and the session lengths that suit them."""

from __future__ import annotations

import pytest

from app.conformance.models.client import EcsClient, UriClient
from app.conformance.models.ecs_clients import ECS_CLIENTS
from app.conformance.models.uri_clients import URI_CLIENTS
from app.doctor import clients
from app.doctor.clients import MARGINS

from ..test_docs import UNUSABLE_BY_URI as UNUSABLE


@pytest.mark.parametrize(("interface", "models"), [(clients.URI, URI_CLIENTS), (clients.ECS, ECS_CLIENTS)])
def test_margins_are_those_of_all_known_clients(interface: str, models: tuple[UriClient | EcsClient, ...]) -> None:
    """The table has each modelled client with a margin, and no other; clients that cannot use the URI are left out."""
    known = {each.name: each.refresh.margin for each in models if each.refresh and each.refresh.margin > 0}
    wanted = {name: margin for name, margin in known.items() if interface == clients.ECS or name not in UNUSABLE}

    assert {each.client: each.seconds for each in MARGINS if each.interface == interface} == wanted


@pytest.mark.parametrize(
    ("length", "margin"), [(900, 600), (1800, 1080), (3600, 1860), (7200, 4320), (10_800, None), (43_200, None)]
)
def test_margins_that_a_length_misses(length: float, margin: int | None) -> None:
    """The least margin that sessions of a length do not satisfy."""
    assert min((each.seconds for each in clients.missed(length)), default=None) == margin


def test_least_length_of_a_client() -> None:
    """Each client's least length is one that its margin allows."""
    for each in MARGINS:
        assert each.needs is not None
        assert each not in clients.missed(each.needs)
