"""A changed configuration in a running sidecar: what is used, and what is reported."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.reload import ReloadStatus
from app.system.runtime_dir import KeptKey

from ..clock import Clock
from ..conftest import configuration, exchange
from .reload_site import Site, changed


async def test_changed_configuration_is_used(site: Site, clock: Clock) -> None:
    """A changed configuration is adopted with its path token and session key, and the log has each changed key."""
    reloader = site.build(configuration())
    before = reloader.status
    clock.skip(60)
    site.write(changed(required=False, onDenied="stop") | {"access": {"maxConnections": 600}})
    await site.reload()

    loaded, token = site.adopted[0]
    assert before == ReloadStatus(clock.time() - 60)
    assert reloader.loaded is loaded
    assert site.session_keys == [KeptKey(b"optional")]
    assert (loaded.settings.profiles["default"].required, token, len(site.adopted)) == (False, "token of 600", 1)
    assert reloader.status == ReloadStatus(clock.time(), None, ("access.maxConnections",))
    path = str(site.directory / "config.json")
    assert site.lines() == [
        {
            "event": "config_reloaded",
            "config": path,
            "changes": [
                {"key": "access.maxConnections", "was": 2048, "is": 600},
                {"key": "profiles.default.onDenied", "was": "serve", "is": "stop"},
                {"key": "profiles.default.required", "was": True, "is": False},
            ],
        },
        {"event": "restart_needed", "keys": ["access.maxConnections"], "error_code": "IDS-506"},
    ]


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"server": {"bind": "127.0.0.1:7201"}}, ["server.bind"]),
        ({"cache": {"directory": "/cache", "keyEnvVarName": "K"}}, ["cache.directory", "cache.keyEnvVarName"]),
        ({"startup": {"timeoutSeconds": 7}}, ["startup.timeoutSeconds"]),
        ({"access": {"hopLimit": 2}}, ["access.hopLimit"]),
        ({"access": {"maxConnections": 600, "requestsPerSecond": 7}}, ["access.maxConnections"]),
        ({"logging": {"format": "text", "level": "debug"}}, ["logging.format"]),
        ({"logging": {"level": "debug"}}, []),
        ({"refresh": {"minRetrySeconds": 7}}, []),
    ],
)
async def test_keys_that_need_a_restart(changes: dict[str, Any], keys: list[str], site: Site) -> None:
    """Keys of the listeners, the cache, the start and the log's format take effect at the next start."""
    reloader = site.build(configuration())
    site.write(configuration(**changes))
    await site.reload()

    assert reloader.status.restart_needed == tuple(keys)
    assert site.events() == ["config_reloaded", *(["restart_needed"] if keys else [])]


async def test_reverted_key_needs_no_restart(site: Site) -> None:
    """The configuration is compared with the one at the start, so a key that is changed back needs no restart."""
    reloader = site.build(configuration())
    for port, needed in ((7201, True), (7202, True), (7117, False)):
        site.write(configuration(server={"bind": f"127.0.0.1:{port}"}))
        await site.reload()
        assert bool(reloader.status.restart_needed) is needed


async def test_warnings_of_a_changed_configuration_are_logged(site: Site) -> None:
    """Each warning of the changed configuration is logged after the changes."""
    site.build(configuration())
    site.write(changed(exchange=exchange(durationSeconds=900)))
    await site.reload()

    warnings = site.reloader.loaded.warnings
    assert len(warnings) >= 1
    assert [line.get("message") for line in site.lines()] == [None, *warnings]
    assert site.events()[1:] == ["configuration"] * len(warnings)


async def test_configuration_that_cannot_work_changes_nothing(site: Site, clock: Clock) -> None:
    """A configuration with mistakes is reported in one line, and the one before stays in use with its status."""
    reloader = site.build(configuration())
    site.write(configuration(startup={"timeoutSeconds": 7}))
    await site.reload()
    in_use, since = reloader.loaded, clock.time()
    clock.skip(60)
    site.write(configuration(startup={"gate": "x"}, refresh={"jitter": "x"}))
    await site.reload()

    error = reloader.status.error
    assert error is not None
    assert "\n" not in error
    assert "; " in error
    mistakes = reloader.status.mistakes
    assert reloader.status == ReloadStatus(since, error, ("startup.timeoutSeconds",), "IDS-105", mistakes)
    assert "; ".join(mistakes) == error
    assert [each.error_code for each in mistakes] == ["IDS-105", "IDS-105"]
    assert (reloader.loaded, len(site.adopted)) == (in_use, 1)
    assert site.lines()[-1] == {"event": "config_reload_failed", "error": error, "error_code": "IDS-105"}

    site.write(configuration(startup={"timeoutSeconds": 7}))
    await site.reload()
    assert reloader.status == ReloadStatus(clock.time(), None, ("startup.timeoutSeconds",))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            configuration(),
            configuration(access={"maxConnections": 601}),
            "access.pathToken: no token",
        ),
        (
            configuration(server={"metadata": "127.0.0.1:7201"}),
            configuration(access={"pathToken": {"envVarName": "IDAAS_SECRET"}}),
            "server.metadata: its clients cannot send access.pathToken; set access.metadataTokens to required, ",
        ),
    ],
    ids=["path token", "listener of the start"],
)
async def test_configuration_must_fit_what_stays(
    before: dict[str, Any], after: dict[str, Any], message: str, site: Site
) -> None:
    """The new rules must fit the listeners that stay open, and the path token must be readable."""
    reloader = site.build(before)
    site.write(after)
    await site.reload()

    assert str(reloader.status.error).startswith(message)
    assert site.adopted == []


async def test_no_configuration_is_adopted_while_busy(site: Site) -> None:
    """While `busy` is held a reload waits."""
    reloader = site.build(configuration())
    async with reloader.busy:
        reloader.reload()
        for _ in range(5):
            await asyncio.sleep(0)
        assert (site.reads, site.adopted) == (0, [])
    await site.quiet()

    assert len(site.adopted) == 1


async def test_exception_of_a_reload_is_logged_by_its_type(site: Site) -> None:
    """A bug while a configuration is adopted is logged without its text, and the next reload works."""
    site.build(configuration())
    site.error = RuntimeError("s3cr3t")
    await site.reload()
    site.error = None
    await site.reload()

    assert site.lines()[0] == {"event": "internal_error", "error": "RuntimeError", "error_code": "IDS-901"}
    assert len(site.adopted) == 1


async def test_without_a_reader_nothing_is_replaced(site: Site) -> None:
    """A sidecar that cannot read its configuration again watches no files and keeps what it has."""
    site.build(configuration(), reads=False)
    await site.start()
    site.write(configuration("p2"))
    await site.reload()

    assert (site.endless, site.adopted, site.lines()) == (set(), [], [])
