"""A changed configuration in a running sidecar: what is used, what is reported, and what a changed file starts."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import resource
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from app.config.loader import Loaded, load
from app.config.settings import Access
from app.core.errors import ConfigError
from app.observe.log import Log
from app.refresh.profiles import Profiles
from app.reload import Reloader, ReloadStatus
from app.system.disk import Disk
from app.system.file_watch import PAUSE, POLL, QUIET
from app.system.runtime_dir import KeptKey
from app.system.survey import Survey
from app.upstream.keys import key_derivation
from app.upstream.keys.key_forms import load_any_key

from .clock import Clock
from .conftest import configuration, exchange, identity
from .simulated_loop import simulated

CHECKED = QUIET + 2 * PAUSE
"""Seconds until a check that is wanted now has ended. It is less than POLL: a check that is not wanted comes later."""


class RecordingProfiles:
    """Records which profiles are renewed, and which are retried."""

    def __init__(self) -> None:
        self.orders: list[str] = []

    async def renew(self, name: str) -> None:
        """Record a refresh with a new token."""
        self.orders.append(f"renew {name}")

    def retry(self, name: str) -> None:
        """Record the retry of a failed profile."""
        self.orders.append(f"retry {name}")


class Site:
    """A configuration file, the reloader of it, and what the reloader does."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.directory, self.clock = directory, clock
        self.stream = io.StringIO()
        self.profiles = RecordingProfiles()
        self.adopted: list[tuple[Loaded, str | None]] = []
        self.session_keys: list[KeptKey] = []
        self.error: Exception | None = None
        self.reads = 0
        self.noticed_before_read: list[list[str]] = []
        self.endless: set[asyncio.Task[Any]] = set()
        self.after_refusal: Callable[[], None] = lambda: None
        self.reloader: Reloader

    def write(self, config: dict[str, Any]) -> None:
        """Write the configuration file."""
        (self.directory / "config.json").write_text(json.dumps(config))

    def load(self) -> Loaded:
        """Read the configuration file."""
        self.reads += 1
        self.noticed_before_read = self.changed_files()
        path = str(self.directory / "config.json")
        try:
            return load(path, self.environ, hostname="host-1", now=self.clock.time)
        except ConfigError:
            self.after_refusal()
            raise

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the sidecar."""
        return {"HOME": str(self.directory), "IDAAS_SECRET": "s3cr3t-0123456789", "K": f"{'A' * 43}="}

    def build(self, config: dict[str, Any], *, reads: bool = True) -> Reloader:
        """Return the reloader of a configuration; without `reads` it cannot read another one."""
        self.write(config)
        log = Log(self.stream, level="info", json_lines=True, now=self.clock.time)
        self.reloader = Reloader(
            self.load(),
            self.load if reads else None,
            self.environ,
            log,
            cast(Profiles, self.profiles),
            path_token=self._path_token,
            session_key=lambda access: KeptKey(access.metadata_tokens.encode()),
            adopt=self._adopt,
            disk=Disk(),
            survey=Survey(),
        )
        self.reads = 0
        return self.reloader

    def _path_token(self, access: Access) -> str | None:
        if access.max_connections == 601:
            raise ConfigError("access.pathToken: no token")
        return f"token of {access.max_connections}"

    def _adopt(self, loaded: Loaded, token: str | None, session_key: KeptKey) -> None:
        if self.error is not None:
            raise self.error
        self.adopted.append((loaded, token))
        self.session_keys.append(session_key)

    async def start(self) -> None:
        """Start the reloader, and return when its first check of the files has ended."""
        before = asyncio.all_tasks()
        await self.reloader.start()
        self.endless = asyncio.all_tasks() - before
        await self.quiet()

    async def stop(self) -> None:
        """Stop the reloader. Raises TimeoutError if a task goes on."""
        async with asyncio.timeout(60):
            await self.reloader.stop()

    async def reload(self) -> None:
        """Reload, and return when everything that the reload starts has ended."""
        self.reloader.reload()
        await self.quiet()

    async def quiet(self) -> None:
        """Return when nothing that the reloader started is under way, except for its endless watch."""
        if self.endless:
            await asyncio.sleep(CHECKED)
        while others := asyncio.all_tasks() - {asyncio.current_task()} - self.endless:
            await asyncio.wait(cast("set[asyncio.Task[None]]", others))
        await asyncio.sleep(0)

    def lines(self) -> list[dict[str, Any]]:
        """Return the log lines, without their time and their sentence, unless that is the event's only field."""
        found = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        for line in found:
            del line["timestamp"], line["level"]
            if line["event"] != "configuration":
                del line["message"]
        return found

    def events(self) -> list[str]:
        """Return the names of the logged events."""
        return [line["event"] for line in self.lines()]

    def changed_files(self) -> list[list[str]]:
        """Return the names of the changed files in each report, without their directory."""
        reports = [line["files"] for line in self.lines() if line["event"] == "files_changed"]
        return [[str(Path(file).relative_to(self.directory)) for file in files] for files in reports]


@pytest.fixture
async def site(tmp_path: Path, clock: Clock) -> AsyncIterator[Site]:
    """
    A site whose reloader is stopped after the test.

    A simulated test has a loop of its own, whose end cancels the watch; the stop then closes the watch's descriptor.
    """
    found = Site(tmp_path, clock)
    yield found
    await found.stop()


def changed(**changes: Any) -> dict[str, Any]:
    """Return the default configuration with changes of its profile."""
    return configuration(profiles={"default": {"identity": identity(), "exchange": exchange()} | changes})


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


# --- files ------------------------------------------------------------------------------------------------------------


def with_files(site: Site, **changes: Any) -> dict[str, Any]:
    """Return two profiles that prove their identity with a file, and a third one that reads a CA file when used."""
    secret = {"authnMethod": "CLIENT_SECRET_POST", "clientSecretFile": str(site.directory / "secret")}
    by_file = {"identity": identity(authnConfiguration=secret), "exchange": exchange()}
    (site.directory / "secret").write_text("first")
    trustme.CA().cert_pem.write_to_path(str(site.directory / "ca.pem"))
    third = {"identity": identity(), "exchange": exchange(connection={"caFile": str(site.directory / "ca.pem")})}
    return configuration(profiles={"a": by_file, "b": by_file, "c": third}) | changes


@pytest.mark.parametrize(
    ("names", "orders"),
    [
        (["secret"], ["renew a", "renew b"]),
        (["ca.pem"], ["retry c"]),
        (["ca.pem", "secret"], ["renew a", "renew b", "retry c"]),
        ([], []),
    ],
)
@pytest.mark.parametrize("reload", [True, False], ids=["reload", "event"])
@simulated
async def test_changed_files_concern_their_profiles(
    names: list[str], orders: list[str], reload: bool, site: Site
) -> None:
    """A replaced proof is tried at once; a file that is read when used matters to a profile that failed."""
    site.build(with_files(site))
    await site.start()
    for name in names:
        with (site.directory / name).open("a") as file:
            file.write("second version")
    await (site.reload() if reload else site.quiet())

    assert sorted(site.profiles.orders) == orders
    assert site.changed_files() == [names] * bool(names)
    assert site.reads == reload


@pytest.mark.parametrize("change", ["replaced", "removed", "refused configuration"])
@simulated
async def test_derived_keys_are_forgotten_after_a_change(change: str, site: Site) -> None:
    """A decrypted key whose file was replaced or removed, or which a refused configuration named, is dropped."""
    site.build(with_files(site))
    await site.start()
    key = ec.generate_private_key(ec.SECP256R1())
    raw = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"of-the-key"))
    load_any_key(base64.b64encode(raw).decode(), "of-the-key", "profiles.a")
    assert len(key_derivation._results) == 1
    if change == "replaced":
        (site.directory / "secret").write_text("second version")
    elif change == "removed":
        (site.directory / "secret").unlink()
    else:
        site.write({"no": "configuration"})
        site.reloader.reload()
    await site.quiet()

    assert len(key_derivation._results) == 0


@simulated
async def test_changed_configuration_file_is_read(site: Site) -> None:
    """A change of the configuration file is noticed at the next check and read after that."""
    site.build(configuration())
    await site.start()
    site.write(configuration(startup={"timeoutSeconds": 7}))
    await site.reload()

    assert site.noticed_before_read == [["config.json"]]
    assert site.changed_files() == [["config.json"]]


@simulated
async def test_changed_path_token_is_read(site: Site) -> None:
    """A change of the file with the path token is a reload."""
    token = site.directory / "token"
    token.write_text("first-token-0123456789")
    site.build(configuration(access={"pathToken": {"file": str(token)}}))
    await site.start()
    token.write_text("second-token-0123456789")
    await site.reload()

    assert site.noticed_before_read == [["token"]]


@simulated
async def test_files_of_the_changed_configuration_are_watched(site: Site) -> None:
    """After a reload the files that the new configuration names are watched, and the other ones are not."""
    site.build(configuration())
    await site.start()
    site.write(with_files(site))
    await site.reload()
    site.profiles.orders.clear()
    trustme.CA().cert_pem.write_to_path(str(site.directory / "ca.pem"), append=True)
    await site.reload()

    assert site.profiles.orders == ["retry c"]
    site.write(configuration())
    await site.reload()
    site.profiles.orders.clear()
    (site.directory / "ca.pem").write_text("the third version")
    await site.reload()
    assert site.profiles.orders == []
    assert site.changed_files() == [["config.json"], ["ca.pem"], ["config.json"]]


def with_secret(site: Site) -> tuple[dict[str, Any], Path]:
    """Return a configuration with a client secret in a file."""
    return with_files(site), site.directory / "secret"


def with_bundle(site: Site) -> tuple[dict[str, Any], Path]:
    """Return a configuration with a CA bundle."""
    return with_files(site), site.directory / "ca.pem"


def with_path_token(site: Site) -> tuple[dict[str, Any], Path]:
    """Return a configuration with a path token."""
    path = site.directory / "path-token"
    path.write_text("0123456789abcdef")
    return configuration(access={"pathToken": {"file": str(path)}}), path


def with_cache_key(site: Site) -> tuple[dict[str, Any], Path]:
    """Return a configuration with the key of a cache."""
    path = site.directory / "cache-key"
    path.write_text("a" * 32)
    (site.directory / "cache").mkdir(mode=0o700, exist_ok=True)
    return configuration(cache={"directory": str(site.directory / "cache"), "keyFile": str(path)}), path


def with_sdk_file(site: Site) -> tuple[dict[str, Any], Path]:
    """Return a configuration with the file of the IDaaS SDK."""
    path = site.directory / "client-config.json"
    path.write_text(json.dumps(identity()))
    return configuration(
        profiles={"default": {"identity": {"clientConfigPath": str(path)}, "exchange": exchange()}}
    ), path


def with_command(site: Site) -> tuple[dict[str, Any], Path]:
    """Return a configuration with a command that prints the token."""
    path = site.directory / "print-token"
    path.write_text("#!/bin/sh")
    path.chmod(0o700)
    return configuration(
        profiles={"default": {"identity": {"type": "command", "command": [str(path)]}, "exchange": exchange()}}
    ), path


def loosen(path: Path) -> Callable[[], None]:
    """Let other users read a file; return what undoes that."""
    path.chmod(0o644)
    return lambda: path.chmod(0o600)


def forbid_execution(path: Path) -> Callable[[], None]:
    """Make a file not executable; return what undoes that."""
    path.chmod(0o600)
    return lambda: path.chmod(0o700)


def spoil(path: Path) -> Callable[[], None]:
    """Replace the content of a file by another one; return what undoes that."""
    before = path.read_text()
    path.write_text("nothing usable")

    def restore() -> None:
        path.write_text(before)

    return restore


def give_away(path: Path) -> Callable[[], None]:
    """Give a file to another user; return what undoes that."""
    os.chown(path, 12_345, -1)
    return lambda: os.chown(path, 0, -1)


AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.mark.parametrize(
    ("named", "breaks"),
    [
        (with_secret, loosen),
        pytest.param(with_secret, give_away, marks=AS_ROOT),
        (with_path_token, loosen),
        (with_cache_key, loosen),
        (with_command, forbid_execution),
        (with_bundle, spoil),
        (with_sdk_file, spoil),
    ],
)
@simulated
async def test_refused_configuration_is_read_when_its_file_is_corrected(
    named: Callable[[Site], tuple[dict[str, Any], Path]], breaks: Callable[[Path], Callable[[], None]], site: Site
) -> None:
    """A change of content, mode or owner of a file that a refused configuration names loads the configuration."""
    reloader = site.build(configuration())
    await site.start()
    settings, path = named(site)
    corrects = breaks(path)
    site.write(settings)
    await site.reload()
    assert str(path) in str(reloader.status.error)
    assert site.adopted == []

    corrects()
    await site.quiet()
    assert reloader.status.error is None
    assert len(site.adopted) == 1
    assert site.changed_files()[-1] == [path.name]


@simulated
async def test_file_that_is_corrected_during_the_reload(site: Site) -> None:
    """A configuration is not left refused when its file was corrected between the reading and the watch."""
    reloader = site.build(configuration())
    settings, path = with_secret(site)
    path.chmod(0o644)
    site.write(settings)
    site.after_refusal = lambda: path.chmod(0o600)
    await site.reload()

    assert (reloader.status.error, len(site.adopted)) == (None, 1)
    assert "config_reload_failed" not in site.events()


@simulated
async def test_number_of_watched_files_is_logged(site: Site) -> None:
    """The start of the watch is logged with the number of files."""
    site.build(with_files(site))
    await site.start()

    assert site.lines() == [{"event": "watching", "files": 3}]


@contextmanager
def no_more_descriptors() -> Iterator[None]:
    """Let no new descriptor be opened within the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@simulated
async def test_files_are_checked_at_a_reload_where_they_cannot_be_watched(site: Site) -> None:
    """Without inotify the log says so, and a reload still finds the changed files before the next look at them."""
    site.build(with_files(site))
    with no_more_descriptors():
        await site.start()
    (site.directory / "secret").write_text("second version")
    await site.reload()

    assert site.lines()[:2] == [
        {"event": "files_not_watched", "error": "Too many open files", "seconds": POLL, "error_code": "IDS-604"},
        {"event": "watching", "files": 3},
    ]
    assert sorted(site.profiles.orders) == ["renew a", "renew b"]


@simulated
async def test_files_are_polled_where_they_cannot_be_watched(site: Site) -> None:
    """Without inotify a changed file is found within POLL seconds, without a reload."""
    site.build(with_files(site))
    with no_more_descriptors():
        await site.start()
    (site.directory / "secret").write_text("second version")
    await asyncio.sleep(POLL)

    assert sorted(site.profiles.orders) == ["renew a", "renew b"]
    assert (site.reads, site.changed_files()) == (0, [["secret"]])


@simulated
async def test_stop_cancels_what_is_under_way(site: Site) -> None:
    """After a stop no configuration is adopted, and no file is watched."""
    reloader = site.build(configuration())
    await site.start()
    await reloader.busy.acquire()
    reloader.reload()
    await asyncio.sleep(0)
    await site.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    reloader.busy.release()
    site.write(configuration(startup={"timeoutSeconds": 7}))
    await site.quiet()

    assert (site.reads, site.adopted, site.events()) == (0, [], ["watching"])


@simulated
async def test_stop_closes_the_watch(site: Site) -> None:
    """After a stop the descriptor of the watch is closed."""
    before = len(os.listdir("/proc/self/fd"))
    site.build(with_files(site))
    await site.start()
    during = len(os.listdir("/proc/self/fd"))
    await site.stop()

    assert (during, len(os.listdir("/proc/self/fd"))) == (before + 1, before)
