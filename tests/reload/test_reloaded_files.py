"""The files of a configuration in a running sidecar: what a changed, missing or corrected file starts."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from app.system.file_watch import POLL
from app.system.inotify import Inotify
from app.upstream.keys import key_derivation
from app.upstream.keys.key_forms import load_any_key

from ..conftest import configuration, exchange, identity
from ..simulated_loop import simulated
from ..system.test_file_watch import no_instance_left
from .reload_site import Site


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


@simulated
async def test_files_are_checked_at_a_reload_where_they_cannot_be_watched(site: Site) -> None:
    """Without inotify the log says so, and a reload still finds the changed files before the next look at them."""
    site.build(with_files(site), open_inotify=no_instance_left)
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
    site.build(with_files(site), open_inotify=no_instance_left)
    await site.start()
    (site.directory / "secret").write_text("second version")
    await asyncio.sleep(POLL)

    assert sorted(site.profiles.orders) == ["renew a", "renew b"]
    assert (site.reads, site.changed_files()) == (0, [["secret"]])


class RecordedInotify(Inotify):
    """An inotify instance that says whether its descriptor was closed."""

    def __init__(self, opened: list[RecordedInotify]) -> None:
        super().__init__()
        self.closed = False
        opened.append(self)

    def close(self) -> None:
        super().close()
        self.closed = True


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
    opened: list[RecordedInotify] = []
    site.build(with_files(site), open_inotify=lambda: RecordedInotify(opened))
    await site.start()
    before = [inotify.closed for inotify in opened]
    await site.stop()

    assert (before, [inotify.closed for inotify in opened]) == ([False], [True])
