"""The ECS metadata service as the source of an identity: which address is requested, and its errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.core.errors import ConfigError, Refused, Unreachable
from app.emulator import Fault

from ..conftest import Offline, exchange
from ..workload import Workload
from .identities import METADATA_ENDPOINT, one_profile, pkcs7, plugin_ecs_role

Build = Callable[..., Offline]


@pytest.mark.parametrize("make", [pkcs7, plugin_ecs_role], ids=["PKCS7", "PLUGIN"])
@pytest.mark.parametrize("listener", ["bind", "metadata"])
def test_own_listener_as_the_metadata_endpoint_is_refused(
    make: Callable[[Workload], dict[str, Any]], listener: str, workload: Workload, loaded: Callable[..., Any]
) -> None:
    """A sidecar that would request its identity from its own listener does not start."""
    config = one_profile(make(workload), exchange()) | {"server": {listener: METADATA_ENDPOINT.removeprefix("http://")}}

    with pytest.raises(
        ConfigError, match=rf"would ask {METADATA_ENDPOINT}, where this sidecar listens itself .server.{listener}."
    ):
        loaded(config, workload.environ)


async def test_own_address_is_not_requested(workload: Workload, offline: Build) -> None:
    """If 100.100.100.200 belongs to this network namespace, what responds there is not the cloud, so it is not used."""
    identity = pkcs7(workload)
    identity["authnConfiguration"]["ecsMetadataEndpoint"] = "http://100.100.100.200"
    on_own_address = offline(
        one_profile(identity, exchange()), workload.environ, is_ours=lambda host: host == "100.100.100.200"
    )
    elsewhere = offline(one_profile(identity, exchange()), workload.environ, is_ours=lambda _host: False)

    with pytest.raises(
        ConfigError, match=r"that address belongs to this network namespace.*remove it from the interface"
    ):
        await on_own_address.fetch()
    assert not workload.emulator.journal
    await elsewhere.fetch()


@pytest.mark.parametrize(
    "url", ["https://100.100.100.200", "http://10.0.0.1", "http://127.0.0.1:1/x", "http://metadata.example.com"]
)
def test_metadata_endpoint_is_the_clouds_or_loopback(url: str, workload: Workload, loaded: Callable[..., Any]) -> None:
    """An endpoint that is not the cloud's address or loopback is refused: it would get the identity document."""
    identity = pkcs7(workload)
    identity["authnConfiguration"]["ecsMetadataEndpoint"] = url

    with pytest.raises(ConfigError, match=r"ecsMetadataEndpoint: .* is neither"):
        loaded(one_profile(identity, exchange()), workload.environ)


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [(404, Refused, "HTTP 404: does the instance have that document"), (503, Unreachable, "HTTP 503")],
)
async def test_metadata_error_is_permanent_or_transient(
    status: int, error: type[Exception], message: str, workload: Workload, offline: Build
) -> None:
    """A missing document (404) is a permanent error, and a busy service (503) a transient one."""
    workload.emulator.faults.add(Fault("metadata", status=status, body=b"<html>"))

    with pytest.raises(error, match=message):
        await offline(one_profile(pkcs7(workload), exchange()), workload.environ).fetch()


async def test_role_name_that_is_not_ascii_is_refused(workload: Workload, offline: Build) -> None:
    """A role name that is not ASCII, which fuzzing found, is our error and not one of the HTTP library."""
    workload.emulator.faults.add(Fault("metadata", status=200, body=b"token"))
    workload.emulator.faults.add(Fault("metadata", status=200, body="r\u00f4le".encode(), content_type="text/plain"))

    with pytest.raises(Unreachable, match="instead of text"):
        await offline(one_profile(plugin_ecs_role(workload), exchange()), workload.environ).fetch()
