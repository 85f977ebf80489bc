"""The ECS metadata service: session tokens and documents."""

from dataclasses import replace

import pytest

from app.emulator import Fault

from .conftest import Cloud

TTL = "X-aliyun-ecs-metadata-token-ttl-seconds"


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("PUT", {TTL: "1"}, 200),
        ("PUT", {TTL: "21600"}, 200),
        ("PUT", {TTL: "0"}, 400),
        ("PUT", {TTL: "21601"}, 400),
        ("PUT", {TTL: "x"}, 400),
        ("PUT", {}, 400),
        ("GET", {TTL: "60"}, 400),
        ("PUT", {TTL: "60", "Via": "1.1 proxy"}, 403),
        ("PUT", {TTL: "60", "X-Forwarded-For": "127.0.0.1"}, 403),
    ],
)
async def test_session_tokens(method: str, headers: dict[str, str], status: int, cloud: Cloud) -> None:
    """A session token requires PUT, a TTL of 1 to 21600 seconds, and no proxy."""
    assert (await cloud.http.request(method, "/latest/api/token", headers=headers)).status_code == status


async def test_a_session_token_is_required_and_expires(cloud: Cloud) -> None:
    """A missing, unknown or expired token is 403. If the world requires none, a missing token is accepted."""
    path, header = "/latest/meta-data/instance-id", "X-aliyun-ecs-metadata-token"
    token = (await cloud.http.put("/latest/api/token", headers={TTL: "60"})).text

    async def status(headers: dict[str, str]) -> int:
        return (await cloud.http.get(path, headers=headers)).status_code

    assert [await status({header: token}), await status({header: "x"}), await status({})] == [200, 403, 403]
    cloud.clock.at += 60
    assert await status({header: token}) == 403
    cloud.emulator.world = replace(cloud.emulator.world, metadata_tokens_required=False)
    assert await status({}) == 200
    assert await status({header: "x"}) == 403


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/latest/meta-data/instance-id", 200),
        ("PUT", "/latest/meta-data/instance-id", 404),
        ("POST", "/latest/meta-data/instance-id", 405),
        ("GET", "/latest/meta-data/unknown", 404),
    ],
)
async def test_metadata_paths(method: str, path: str, status: int, cloud: Cloud) -> None:
    """The documents are read by GET, and an unknown path is 404."""
    token = (await cloud.http.put("/latest/api/token", headers={TTL: "60"})).text
    headers = {"X-aliyun-ecs-metadata-token": token}

    assert (await cloud.http.request(method, path, headers=headers)).status_code == status


async def test_metadata_faults(cloud: Cloud) -> None:
    """A fault applies to the metadata service."""
    cloud.emulator.faults.add(Fault("metadata", status=503))

    assert (await cloud.http.put("/latest/api/token", headers={TTL: "60"})).status_code == 503
