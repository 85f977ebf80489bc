"""The ECS metadata service as the source of an identity: which address is requested, and its errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from app.core.connection import Connection, HttpConfiguration
from app.core.errors import ConfigError, Refused, SidecarError, Unreachable
from app.emulator import Fault
from app.identity.ecs_metadata import EcsMetadata, metadata_service
from app.upstream.acs3 import KeyPair

from ..conftest import Offline, exchange
from ..upstream.fake_http import FakeHttp, Sent, answer
from ..workload import Workload
from .contexts import context
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
        ConfigError, match=r"that address belongs to this network namespace.*remove the address from the interface"
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

    with pytest.raises(ConfigError, match=r"ecsMetadataEndpoint: .* is neither") as caught:
        loaded(one_profile(identity, exchange()), workload.environ)

    assert caught.value.error_code == "IDS-112"


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [(404, Refused, "HTTP 404: the metadata service has nothing at this path"), (503, Unreachable, "HTTP 503")],
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

    with pytest.raises(Unreachable, match="5 bytes of another kind instead of names of roles"):
        await offline(one_profile(plugin_ecs_role(workload), exchange()), workload.environ).fetch()


NOW = 1_767_323_045.9
SERVICE = "http://100.100.100.200"
TOKEN_URL = f"{SERVICE}/latest/api/token"
ROLES = f"{SERVICE}/latest/meta-data/ram/security-credentials/"
PUT = Sent("PUT", TOKEN_URL, {}, {"X-aliyun-ecs-metadata-token-ttl-seconds": "60"})
SESSION = answer(" session-1\n")
ROLE_KEYS = {"Code": "Success", "AccessKeyId": "STS.id", "AccessKeySecret": "secret", "SecurityToken": "token"}


def get(url: str) -> Sent:
    """Return a GET with the session token."""
    return Sent("GET", url, {}, {"X-aliyun-ecs-metadata-token": "session-1"})


def service(http: FakeHttp, *, endpoint: str = SERVICE, ours: tuple[str, ...] = ()) -> EcsMetadata:
    """Return the metadata service; the addresses `ours` belong to this network namespace."""
    return EcsMetadata(http, endpoint, lambda host: host in ours, lambda: NOW)


async def test_identity_document_is_for_the_audience() -> None:
    """The document is requested for the audience and this second, and its line breaks are removed."""
    http = FakeHttp(SESSION, answer("MII\nAB C\n"))

    assert await service(http).identity_document("idaas_1") == "MIIABC"

    audience = "%7B%22aud%22%3A%22idaas_1%22%2C%22signingTime%22%3A1767323045%7D"
    assert http.sent == [PUT, get(f"{SERVICE}/latest/dynamic/instance-identity/pkcs7?audience={audience}")]


async def test_keys_of_the_named_role() -> None:
    """The role's name is one segment of the path."""
    http = FakeHttp(SESSION, answer(ROLE_KEYS))

    assert await service(http).role_keys("role/1") == KeyPair("STS.id", "secret", "token")
    assert http.sent == [PUT, get(f"{ROLES}role%2F1")]


@pytest.mark.parametrize("names", ["role-1", "role-1\n", "role-1\nrole-2"])
async def test_keys_of_the_only_role(names: str) -> None:
    """Without a configured name the first role of the list is used; each request has a session token of its own."""
    http = FakeHttp(SESSION, answer(names), SESSION, answer(ROLE_KEYS))

    assert await service(http).role_keys(None) == KeyPair("STS.id", "secret", "token")
    assert http.sent == [PUT, get(ROLES), PUT, get(f"{ROLES}role-1")]


@pytest.mark.parametrize(
    "changes",
    [
        *({"Code": "Failed"}, {"Code": None}, {"AccessKeyId": ""}, {"AccessKeySecret": None}, {"SecurityToken": 3}),
        *({"AccessKeyId": "a\r\nX: b"}, {"AccessKeySecret": "\ud800"}, {"SecurityToken": "\u00e9"}),
    ],
)
async def test_incomplete_keys_are_transient(changes: dict[str, Any]) -> None:
    """Keys are used only if the service reports success, and all three values are there and can be sent."""
    http = FakeHttp(SESSION, answer(ROLE_KEYS | changes))

    with pytest.raises(Unreachable, match=f"^{re.escape(ROLES)}: an answer without complete credentials$") as caught:
        await service(http).role_keys("role-1")

    assert (caught.value.endpoint, caught.value.status, caught.value.error_code) == (ROLES, 200, "IDS-326")


@pytest.mark.parametrize(
    ("status", "transient"),
    [(400, False), (404, False), (428, False), (430, False), (499, False), (429, True), (500, True), (503, True)],
)
@pytest.mark.parametrize("at", [TOKEN_URL, f"{SERVICE}/latest/dynamic/instance-identity/pkcs7"])
async def test_status_of_each_request_is_checked(at: str, status: int, transient: bool) -> None:
    """429 and 5xx are transient and keep Retry-After, any other status is permanent; the URL has no query."""
    failed = answer("", status, retry_after=3.0)
    http = FakeHttp(failed) if at == TOKEN_URL else FakeHttp(SESSION, failed)

    with pytest.raises(SidecarError, match=f"^{re.escape(at)}: HTTP {status}") as caught:
        await service(http).identity_document("idaas_1")

    assert ("give the instance a RAM role if the method reads its keys" in caught.value.cure) != transient
    if transient:
        assert isinstance(caught.value, Unreachable)
        assert caught.value.retry_after == 3.0
    else:
        assert isinstance(caught.value, Refused)
        assert (caught.value.status, caught.value.code) == (status, str(status))


@pytest.mark.parametrize(
    ("answers", "at"),
    [
        ((answer(""),), TOKEN_URL),
        ((SESSION, answer("")), f"{SERVICE}/latest/dynamic/instance-identity/pkcs7"),
    ],
    ids=["session", "document"],
)
async def test_empty_answer_names_its_url(answers: tuple[Any, ...], at: str) -> None:
    """An empty body is a transient error that names the request which it answers."""
    with pytest.raises(Unreachable, match=f"^{re.escape(at)}: HTTP 200 with an empty body$"):
        await service(FakeHttp(*answers)).identity_document("idaas_1")


PAGE = "<html>\nsign in\n</html>"


@pytest.mark.parametrize("answers", [(PAGE,), ("one two",), ("to\0ken",), ("session", PAGE)])
async def test_page_instead_of_an_answer(answers: tuple[str, ...]) -> None:
    """What is no token, document or role name, such as the page of a gateway, is sent nowhere, and not repeated."""
    http = FakeHttp(*map(answer, answers), *map(answer, answers))

    for call in (service(http).identity_document("idaas_1"), service(http).role_keys(None)):
        with pytest.raises(Unreachable, match=rf"^{re.escape(SERVICE)}/latest/[a-z0-9/-]+: HTTP 200 with [0-9]+ byt"):
            await call
    assert len(http.sent) == 2 * len(answers)


async def test_long_name_of_a_role_is_refused() -> None:
    """A name longer than RAM permits is refused, because each error would repeat it."""
    with pytest.raises(Unreachable, match="HTTP 200 with 70000 bytes of another kind instead of names of roles"):
        await service(FakeHttp(SESSION, answer("r" * 70_000))).role_keys(" ")


@pytest.mark.parametrize(
    ("endpoint", "refused"), [("http://100.100.100.200:80", True), ("http://127.0.0.1:7081", False)]
)
async def test_only_the_clouds_address_must_not_be_ours(endpoint: str, refused: bool) -> None:
    """The cloud's address must not belong to this namespace; an emulated service on loopback does."""
    http = FakeHttp(SESSION, answer("MII"))
    own = service(http, endpoint=endpoint, ours=("100.100.100.200", "127.0.0.1"))

    if refused:
        with pytest.raises(ConfigError, match=f"^{endpoint}: that address belongs to this network namespace") as caught:
            await own.identity_document("idaas_1")
        assert caught.value.error_code == "IDS-326"
        assert not http.sent
    else:
        assert await own.identity_document("idaas_1") == "MII"


async def test_service_has_a_connection_without_a_proxy() -> None:
    """The service is reached directly, whatever the proxy and the trust of the identity's connection."""
    http = FakeHttp(SESSION, answer("MII"))
    connections: list[tuple[Connection, str]] = []

    def connect(connection: Connection, place: str, _http: HttpConfiguration | None = None) -> FakeHttp:
        connections.append((connection, place))
        return http

    found = metadata_service(f"{SERVICE}/", context(connect=connect))

    assert await found.identity_document("idaas_1") == "MII"
    assert connections == [(Connection(proxy="none"), "ecsMetadataEndpoint")]
    assert http.sent[0].url == TOKEN_URL
