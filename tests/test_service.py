"""The composition of a sidecar: what it serves, restores, reloads, reports and closes."""

from __future__ import annotations

import asyncio
import gc
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from app import __version__
from app.config.loader import Loaded
from app.core.clocks import Clocks
from app.emulator import Emulator, Fault
from app.observe.log import Log
from app.service import Service

from .clock import Clock
from .conftest import ENVIRON, configuration, with_client_auth
from .refresh.simulated import Time, emulated_cloud
from .simulated_loop import simulated

ROLE = "/latest/meta-data/ram/security-credentials/default"
KEY = f"{'A' * 43}="
"""The key of the cache: 32 bytes in base64."""
CACHE_ENVIRON = ENVIRON | {"CACHE_KEY": KEY}


@pytest.fixture
def time() -> Time:
    """The clocks of the simulated machine and of the cloud."""
    return Time()


@pytest.fixture
def cloud(time: Time, signing_key: Any) -> Emulator:
    """The emulated cloud."""
    return emulated_cloud(time, signing_key, "default", "p2")


class Site:
    """A service over the emulated cloud, and its log."""

    def __init__(self, loaded: Loaded, cloud: Emulator, clocks: Clocks, **options: Any) -> None:
        self.stream = io.StringIO()
        log = Log(self.stream, level="info", json_lines=True, now=clocks.wall)
        options = {"clocks": clocks, "listen": False, "entropy": lambda size: b"e" * size} | options
        self.service = Service(
            loaded,
            CACHE_ENVIRON,
            log,
            transport=lambda _route: httpx.ASGITransport(cloud),  # type: ignore[arg-type]
            **options,
        )

    def lines(self, *events: str) -> list[dict[str, Any]]:
        """Return the log lines of these events, or of all, without time, level and sentence."""
        found = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        kept = [line for line in found if not events or line["event"] in events]
        return [{name: line[name] for name in line if name not in ("timestamp", "level")} for line in kept]

    async def get(self, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        """Send a request to the application of the service."""
        transport = httpx.ASGITransport(self.service.application(), client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7117") as client:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.request(method, path, headers=sent)


@asynccontextmanager
async def running(loaded: Loaded, cloud: Emulator, time: Time | Clock, **options: Any) -> AsyncIterator[Site]:
    """Run a service for the length of the block."""
    site = Site(loaded, cloud, time.clocks, **options)
    await site.service.start()
    try:
        yield site
    finally:
        await site.service.stop()
        gc.unfreeze()


async def ready(site: Site) -> None:
    """Return when the service is ready, which must be within ten seconds."""
    async with asyncio.timeout(10):
        await site.service.ready()


Load = Callable[..., Loaded]


@simulated
async def test_service_is_ready_with_all_required_credentials(
    loaded: Load, cloud: Emulator, time: Time, tmp_path: Path
) -> None:
    """`ready` returns when every required profile has credentials; until then the service answers, too."""
    config = configuration("default", "p2")
    config["profiles"]["p2"]["required"] = False
    cloud.faults.add(Fault("sts", times=3, status=503))
    async with running(loaded(config), cloud, time) as site:
        waiting = asyncio.create_task(site.service.ready())
        before = (site.service.usable(), (await site.get("/credentials")).status_code)
        await asyncio.wait_for(waiting, 10)

        assert before == (False, 503)
        assert site.service.usable()
        assert (await site.get("/credentials")).json()["Code"] == "Success"
        assert site.service.dead_loops() == []
        assert site.service.urls() == {}
    first = site.lines()[0]
    assert first == {
        "event": "listening",
        "message": "all listeners accept connections",
        "version": __version__,
        "config": str(tmp_path / "config.json"),
    }
    issued = next(line for line in site.lines("credentials_issued") if line["profile"] == "default")
    assert (issued["identity"], issued["session"]) == ("idaas", "session-1")
    assert issued["role"] == config["profiles"]["default"]["exchange"]["roleArn"]


@simulated
async def test_readiness_waits_for_each_required_profile(loaded: Load, cloud: Emulator, time: Time) -> None:
    """`ready` does not return for the first of two required profiles."""
    config = configuration("default", "p2")
    config["profiles"]["p2"]["exchange"]["roleArn"] = "acs:ram::1234567890123456:role/absent"
    async with running(loaded(config), cloud, time) as site:
        with pytest.raises(TimeoutError):
            await ready(site)

        assert (await site.get("/credentials/default")).status_code == 200
        assert not site.service.usable()
        answer = await site.get("/readyz")
        assert (answer.status_code, [item["profile"] for item in answer.json()["profiles"]]) == (503, ["p2"])


@simulated
async def test_warnings_of_the_configuration_are_logged(loaded: Load, cloud: Emulator, time: Time) -> None:
    """Each warning of the configuration is logged at the start."""
    config = configuration()
    config["profiles"]["default"]["exchange"]["durationSeconds"] = 900
    settings = loaded(config)
    async with running(settings, cloud, time) as site:
        assert [line["message"] for line in site.lines("configuration")] == list(settings.warnings)
        assert settings.warnings


@simulated
async def test_clock_jump_is_logged_and_refreshes_are_scheduled_again(
    loaded: Load, cloud: Emulator, time: Time
) -> None:
    """When the machine sleeps, its refreshes are scheduled again, and the log has the whole seconds."""
    async with running(loaded(), cloud, time) as site:
        await ready(site)
        before = (await site.get("/credentials")).json()["AccessKeyId"]
        time.step_wall_clock(3000.4)
        await time.advance(31)

        assert [line["seconds"] for line in site.lines("clock_jumped")] == [3000]
        assert (await site.get("/credentials")).json()["AccessKeyId"] != before


async def until(condition: Callable[[], object]) -> None:
    """Return when threads and tasks have made the condition true."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - threads set no event
            await asyncio.sleep(0.005)


# --- restart ----------------------------------------------------------------------------------------------------------


def cached(directory: Path, *profiles: str) -> dict[str, Any]:
    """Return a configuration with an encrypted cache."""
    return configuration(*profiles, cache={"directory": str(directory / "cache"), "keyEnvVarName": "CACHE_KEY"})


@simulated
async def test_session_is_restored_after_a_restart(loaded: Load, cloud: Emulator, time: Time, tmp_path: Path) -> None:
    """After a restart in an outage the sessions of the cache are served, and the log has a line for each."""
    settings = loaded(cached(tmp_path) | {"access": {"metadataTokens": "required"}}, CACHE_ENVIRON)
    async with running(settings, cloud, time) as site:
        await ready(site)
        session = (await site.get("/credentials")).json()
        token = (await site.get("/latest/api/token", "PUT", X_aliyun_ecs_metadata_token_ttl_seconds="600")).text
    cloud.faults.add(Fault("*", times=None, status=503))
    async with running(settings, cloud, time, entropy=lambda size: b"f" * size) as site:
        await ready(site)
        again = await site.get("/credentials")
        by_token = await site.get(ROLE, X_aliyun_ecs_metadata_token=token)
        by_other_token = await site.get(ROLE, X_aliyun_ecs_metadata_token="another")

        assert again.json() == session
        assert (by_token.status_code, by_other_token.status_code) == (200, 401)
    profile = settings.settings.profiles["default"]
    assert site.lines("credentials_restored") == [
        {
            "event": "credentials_restored",
            "message": "the profile serves credentials from the cache until the first refresh",
            "profile": "default",
            "identity": "idaas",
            "role": profile.exchange.role_arn,
            "session": "session-1",
            "access_key_id": session["AccessKeyId"],
            "expires_at": session["Expiration"],
        }
    ]


@simulated
async def test_expired_session_is_not_restored(loaded: Load, cloud: Emulator, time: Time, tmp_path: Path) -> None:
    """A session that expired during the restart is neither served nor logged; a profile after it is restored."""
    config = cached(tmp_path, "default", "p2")
    config["profiles"]["default"]["exchange"]["durationSeconds"] = 900
    settings = loaded(config, CACHE_ENVIRON)
    async with running(settings, cloud, time) as site:
        await ready(site)
    time.suspend(900)
    cloud.faults.add(Fault("*", times=None, status=503))
    async with running(settings, cloud, time) as site:
        await until(lambda: len(site.lines("refresh_failed")) == 2)

        assert (await site.get("/credentials/default")).status_code == 503
        assert (await site.get("/credentials/p2")).status_code == 200
        assert [line["profile"] for line in site.lines("credentials_restored")] == ["p2"]


@simulated
async def test_tokens_do_not_survive_a_restart_without_a_cache(loaded: Load, cloud: Emulator, time: Time) -> None:
    """Without a cache a metadata session token is valid for one process, whose key has 32 random bytes."""
    settings, codes = loaded(configuration(access={"metadataTokens": "required"})), []
    token = ""
    for key in (b"e" * 32, b"f" * 32):
        async with running(settings, cloud, time, entropy={32: key}.__getitem__) as site:
            await ready(site)
            token = (
                token
                or (await site.get("/latest/api/token", "PUT", X_aliyun_ecs_metadata_token_ttl_seconds="600")).text
            )
            codes.append((await site.get(ROLE, X_aliyun_ecs_metadata_token=token)).status_code)

    assert codes == [200, 401]


# --- another configuration --------------------------------------------------------------------------------------------


@simulated
async def test_reloaded_configuration_is_used_everywhere(
    loaded: Load, cloud: Emulator, time: Time, tmp_path: Path
) -> None:
    """A reload changes profiles, access rules, log level and credential files, and removes sessions from the cache."""
    changed: dict[str, Any] = {}
    async with running(
        loaded(cached(tmp_path), CACHE_ENVIRON), cloud, time, load=lambda: loaded(changed, CACHE_ENVIRON)
    ) as site:
        await ready(site)
        await until(lambda: list((tmp_path / "cache").rglob("*default*")))
        changed.update(cached(tmp_path, "p2"))
        changed["profiles"]["p2"]["files"] = [{"path": str(tmp_path / "credentials.ini")}]
        changed["access"] = {"pathToken": {"envVarName": "IDAAS_SECRET"}}
        changed["logging"] = {"level": "error"}
        site.service.reload()
        await until((tmp_path / "credentials.ini").exists)
        await until(lambda: not list((tmp_path / "cache").rglob("*default*")))
        codes = [(await site.get(path)).status_code for path in ("/credentials/default", "/credentials/p2")]
        with_token = await site.get(f"/{ENVIRON['IDAAS_SECRET']}/credentials/p2")
        written = (tmp_path / "credentials.ini").read_text()

        assert site.service.settings.profiles.keys() == {"p2"}
        assert (codes, with_token.status_code) == ([403, 403], 200)
        assert with_token.json()["AccessKeyId"] in written
        assert site.lines("credentials_issued") == site.lines("credentials_issued")[:1]


@simulated
async def test_trial_serves_with_its_first_session(loaded: Load, cloud: Emulator, time: Time) -> None:
    """A changed role is served as soon as it has a session, without another reload."""
    config = configuration(access={"pathToken": {"envVarName": "IDAAS_SECRET"}})
    config["profiles"]["default"]["exchange"]["durationSeconds"] = 1800
    changed = loaded(config)
    async with running(loaded(), cloud, time, load=lambda: changed) as site:
        await ready(site)
        before = (await site.get("/credentials")).json()
        site.service.reload()
        await time.advance(5)
        without_token = await site.get("/credentials")
        after = (await site.get(f"/{ENVIRON['IDAAS_SECRET']}/credentials")).json()
        as_ecs = (await site.get(ROLE, X_aliyun_parameters_secrets_token=ENVIRON["IDAAS_SECRET"])).json()

        assert without_token.status_code == 403
        assert as_ecs == after
        assert before["AccessKeyId"] != after["AccessKeyId"]
        assert after["Expiration"] < before["Expiration"]
    assert cloud.totals["token"] == 1  # the token outlives the pipeline that obtained it


@simulated
async def test_cloud_clock_outlives_a_reload(loaded: Load, cloud: Emulator, time: Time) -> None:
    """The cloud's clock is known to the pipeline of a changed configuration, so no assertion of it is too old."""
    config = with_client_auth("CLIENT_SECRET_JWT")
    first = loaded(config)
    config["profiles"]["default"]["identity"]["scope"] = "api.demo.example|read"
    changed = loaded(config)
    time.cloud_ahead = -600
    async with running(first, cloud, time, load=lambda: changed) as site:
        await ready(site)
        before = [call.outcome for call in cloud.journal if call.kind == "token"]
        cloud.journal.clear()
        site.service.reload()
        await time.advance(5)

    assert before[-1] == "ok"
    assert len(before) > 1
    assert [call.outcome for call in cloud.journal if call.kind == "token"] == ["ok"]


@simulated
async def test_failed_start_is_a_dead_loop(loaded: Load, cloud: Emulator, time: Time) -> None:
    """A bug that ends the start in the background is reported, and the sidecar is not live."""
    broken = replace(loaded(), files=("a\0b",))  # no file system has this name
    async with running(broken, cloud, time, load=loaded) as site:
        await time.advance(1)

        assert site.service.dead_loops() == ["start"]
        assert (await site.get("/livez")).json() == {"status": "dead", "loops": ["start"], "error_code": "IDS-901"}


@simulated
async def test_objects_of_the_start_are_not_collected(loaded: Load, cloud: Emulator, time: Time) -> None:
    """When the first attempts have ended, what lives until the end is excluded from garbage collection."""
    gc.unfreeze()
    async with running(loaded(), cloud, time) as site:
        await ready(site)
        await time.advance(1)

        assert gc.get_freeze_count() > 0


# --- listeners --------------------------------------------------------------------------------------------------------


@pytest.fixture
def listening(loaded: Load, tmp_path: Path) -> Loaded:
    """A configuration with all listeners, on free ports."""
    server = {name: "127.0.0.1:0" for name in ("bind", "metadata", "ops")} | {"adminSocket": f"{tmp_path}/admin"}
    return loaded(configuration("default", "p2", server=server))


async def request(url: str, path: str, method: str = "GET") -> httpx.Response:
    """Send a request to a listener; an absolute path is that of the admin socket."""
    socket, base = (url, "http://127.0.0.1") if url.startswith("/") else (None, url)
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=socket), base_url=base) as client:
        return await client.request(method, path)


async def test_each_listener_has_its_routes(listening: Loaded, emulator: Emulator, clock: Clock) -> None:
    """Credentials, metadata, probes, pages and orders answer at their own listeners, until the service stops."""
    async with running(listening, emulator, clock, listen=True) as site:
        await ready(site)
        urls = site.service.urls()
        answers = {
            "credentials": await request(urls["credentials"], "/credentials/p2"),
            "metadata": await request(urls["metadata"], ROLE),
            "metadata only": await request(urls["metadata"], "/credentials"),
            "live": await request(urls["ops"], "/livez"),
            "started": await request(urls["ops"], "/startupz"),
            "metrics": await request(urls["ops"], "/metrics"),
            "status": await request(urls["ops"], "/status.json"),
            "page": await request(urls["ops"], "/status"),
            "second page": await request(urls["ops"], "/docs"),
            "no credentials": await request(urls["ops"], "/credentials"),
            "order": await request(urls["admin"], "/refresh/p2", "POST"),
            "level": await request(urls["admin"], "/log-level/debug", "PUT"),
        }
        first = site.lines()[0]

    assert {name: answer.status_code for name, answer in answers.items()} == {
        "credentials": 200,
        "metadata": 200,
        "metadata only": 404,
        "live": 200,
        "started": 200,
        "metrics": 200,
        "status": 200,
        "page": 200,
        "second page": 200,
        "no credentials": 404,
        "order": 200,
        "level": 200,
    }
    assert {name: first[name] for name in urls} == urls
    assert urls.keys() == {"credentials", "metadata", "ops", "admin"}
    assert answers["status"].json()["version"] == __version__
    assert [line["profile"] for line in site.lines("refresh_ordered")] == ["p2"]
    with pytest.raises(httpx.ConnectError):
        await request(urls["credentials"], "/credentials")
