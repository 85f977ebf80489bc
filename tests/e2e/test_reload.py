"""Changes under a running sidecar: configuration file, secrets and path token; by hand, by Kubernetes and by SIGHUP."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.emulator import Secret, World
from app.emulator.world.world import CLIENT_ID, CLIENT_SECRET, WORKLOAD_PROVIDER_ARN

from ..system.test_file_watch import write_volume
from .cloud import ENV, config, emulator_admin, metric, replace_config, served_key, workload_token
from .processes import EmulatedCloud, Process, RunningSidecar, environment, serve, wait_until
from .wire import Connection, fetch, request_head


@pytest.fixture(autouse=True)
def first_secret(cloud: EmulatedCloud, clear_faults: None) -> Iterator[None]:
    """Remove the emulator's faults after each test, and accept only the first secret again."""
    yield
    accept(cloud, CLIENT_SECRET)


def accept(cloud: EmulatedCloud, *secrets: str) -> None:
    """Make the emulator accept these secrets of the client, and no others."""
    world = World.default(issuer=cloud.issuer)
    client = replace(world.clients[CLIENT_ID], secrets=tuple(map(Secret, secrets)))
    world = replace(world, clients={**world.clients, CLIENT_ID: client})
    emulator_admin(cloud.url, "PUT", "world", json.loads(world.to_json()))


def two_profiles(cloud: EmulatedCloud, **changes: Any) -> dict[str, Any]:
    """Return profiles `default` and `other`. `changes` apply to the exchange of `default`."""
    settings = config(cloud)
    profile = settings["profiles"]["default"]
    settings["profiles"]["other"] = json.loads(json.dumps(profile))
    profile["exchange"] |= changes
    return settings


def status(sidecar: RunningSidecar) -> dict[str, Any]:
    """Return the status document."""
    return dict(json.loads(fetch(sidecar.urls["ops"], "/status.json").body))


def issued(sidecar: RunningSidecar, profile: str) -> int:
    """Return how many sessions the log reports for a profile."""
    return sum(line["profile"] == profile for line in sidecar.process.events("credentials_issued"))


@contextmanager
def running(cloud: EmulatedCloud, home: Path, settings: dict[str, Any], **env: str) -> Iterator[RunningSidecar]:
    """Run a sidecar, and yield it when every profile has credentials and the files are watched."""
    with serve(settings, home=home, env={**ENV, **env}) as sidecar:
        for name in settings["profiles"]:
            sidecar.process.event("credentials_issued", profile=name)
        sidecar.process.event("watching")
        yield sidecar


# --- the file ---------------------------------------------------------------------------------------------------------


def test_changed_file(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A changed profile gets a new session, the other profile keeps its own, and the log names the changes."""
    with running(cloud, tmp_path, two_profiles(cloud)) as sidecar:
        before, other = served_key(sidecar), served_key(sidecar, "other")
        replace_config(sidecar, two_profiles(cloud, durationSeconds=7200) | {"access": {"browsers": "allow"}})
        changes = sidecar.process.event("config_reloaded")["changes"]
        wait_until(lambda: served_key(sidecar) != before)

        assert {"key": "profiles.default.exchange.durationSeconds", "was": 3600, "is": 7200} in changes
        assert {"key": "access.browsers", "was": "refuse", "is": "allow"} in changes
        assert len(changes) == 2
        assert metric(sidecar, 'credential_remaining_seconds{profile="default"}') > 7_000
        assert (served_key(sidecar, "other"), issued(sidecar, "other")) == (other, 1)
        assert fetch(sidecar.urls["credentials"], "/credentials", "Origin: http://a.example").status == 200


INVALID = {
    "not JSON": "{",
    "unknown key": lambda settings: settings | {"sever": {}},
    "missing secret": lambda settings: json.loads(json.dumps(settings).replace("DEMO_SECRET", "NOT_SET")),
    "removed": None,
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_file(cloud: EmulatedCloud, tmp_path: Path, name: str) -> None:
    """After an invalid file the active configuration stays; metrics, status and log report it until a valid one."""
    with running(cloud, tmp_path, two_profiles(cloud)) as sidecar:
        before = served_key(sidecar)
        invalid = INVALID[name]
        if invalid is None:
            sidecar.config_path.unlink()
        else:
            replace_config(sidecar, invalid(two_profiles(cloud)) if callable(invalid) else invalid)
        failure = sidecar.process.event("config_reload_failed")
        wait_until(lambda: metric(sidecar, "config_reload_success") == 0)
        document = status(sidecar)
        error, mistakes = document["config_error"], document["config_mistakes"]
        ready = fetch(sidecar.urls["ops"], "/readyz").status
        replace_config(sidecar, two_profiles(cloud))
        sidecar.process.event("config_reloaded")
        wait_until(lambda: metric(sidecar, "config_reload_success") == 1)

        assert failure["error"] == error
        assert str(sidecar.config_path) in error
        assert mistakes
        assert all(
            each["message"] in error and each["cure"] and each["cure"] not in each["message"] for each in mistakes
        )
        assert {each["error_code"] for each in mistakes} == {document["config_error_code"]}
        assert (ready, served_key(sidecar), issued(sidecar, "default")) == (200, before, 1)
        assert status(sidecar)["config_error"] is None
        assert status(sidecar)["config_mistakes"] == []


def test_refused_role(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """While STS refuses the role of a new file, the previous role is served, and the status shows the attempt."""
    with running(cloud, tmp_path, two_profiles(cloud)) as sidecar:
        before = served_key(sidecar)
        replace_config(sidecar, two_profiles(cloud, roleArn="acs:ram::1234567890123456:role/not-there"))
        failed = sidecar.process.event("refresh_failed", profile="default")
        profile = next(item for item in status(sidecar)["profiles"] if item["profile"] == "default")
        pending = metric(sidecar, 'profile_change_pending{profile="default"}')

        assert "EntityNotExist.Role" in failed["error"]
        assert (profile["on_trial"], profile["state"], pending) == (failed["error"], "fresh", 1)
        apart = profile["on_trial_failure"]
        assert apart["message"] in failed["error"]
        assert (apart["stage"], apart["code"], apart["error_code"]) == ("exchange", "EntityNotExist.Role", "IDS-412")
        assert apart["cure"]
        assert apart["cure"] not in apart["message"]
        assert profile["role"].endswith(":role/demo-default")
        assert served_key(sidecar) == before


def test_caller_rules_change_at_once(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A rule about callers takes effect with the reload, also for a held session; a removed profile gets 404."""
    with running(cloud, tmp_path, two_profiles(cloud)) as sidecar:
        settings = two_profiles(cloud)
        settings["profiles"]["default"]["callers"] = {"uids": [os.geteuid() + 1]}
        del settings["profiles"]["other"]
        replace_config(sidecar, settings)
        sidecar.process.event("config_reloaded")
        base = sidecar.urls["credentials"]

        assert [fetch(base, f"/credentials/{name}").status for name in ("default", "other")] == [403, 404]
        assert issued(sidecar, "default") == 1


def test_keys_that_need_a_restart(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A changed address is reported as needing a restart, and the listener stays as it is."""
    with running(cloud, tmp_path, two_profiles(cloud)) as sidecar:
        settings = two_profiles(cloud) | {"logging": {"level": "debug"}}
        settings["server"] = {"bind": "127.0.0.1:0", "ops": "127.0.0.1:1"}
        replace_config(sidecar, settings)
        keys = sidecar.process.event("restart_needed")["keys"]

        assert keys == ["server.ops"]
        assert status(sidecar)["restart_needed"] == ["server.ops"]
        assert fetch(sidecar.urls["ops"], "/livez").status == 200


def test_path_token_with_an_open_metadata_listener(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A path token is rejected while a metadata listener is open, since its clients cannot send the token."""
    settings = two_profiles(cloud)
    settings["server"]["metadata"] = "127.0.0.1:0"
    with running(cloud, tmp_path, settings) as sidecar:
        token = tmp_path / "path-token"
        token.write_text("a-path-token-0123456789")
        replace_config(sidecar, two_profiles(cloud) | {"access": {"pathToken": {"file": str(token)}}})
        error = sidecar.process.event("config_reload_failed")["error"]

        assert "server.metadata: its clients cannot send access.pathToken" in error
        assert fetch(sidecar.urls["credentials"], "/credentials").status == 200


def test_sighup(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """SIGHUP reads the file again, also if it has not changed."""
    with running(cloud, tmp_path, two_profiles(cloud)) as sidecar:
        read_at = metric(sidecar, "config_reload_timestamp_seconds")
        sidecar.process.send(signal.SIGHUP)
        reloaded = sidecar.process.event("config_reloaded")

        assert reloaded["changes"] == []
        wait_until(lambda: metric(sidecar, "config_reload_timestamp_seconds") > read_at)
        assert issued(sidecar, "default") == 1


def test_changed_drain(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """The drain time of the reloaded file applies: SIGTERM ends the process although the first file had an hour."""
    settings = two_profiles(cloud) | {"shutdown": {"drainSeconds": 3600}}
    with running(cloud, tmp_path, settings) as sidecar:
        replace_config(sidecar, settings | {"shutdown": {"drainSeconds": 0}})
        sidecar.process.event("config_reloaded")
        sidecar.process.send(signal.SIGTERM)

        assert sidecar.process.wait() == 0


# --- files that the configuration names -------------------------------------------------------------------------------


def with_secret_file(cloud: EmulatedCloud, secret: Path, **changes: Any) -> dict[str, Any]:
    """Return two profiles that read the client secret from a file."""
    settings = two_profiles(cloud, **changes)
    for profile in settings["profiles"].values():
        profile["identity"]["authnConfiguration"] = {
            "authnMethod": "CLIENT_SECRET_POST",
            "clientSecretFile": str(secret),
        }
    return settings


def test_kubernetes_volumes(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Each revision of configuration and secret is loaded when Kubernetes swaps the link of their volume."""
    etc, secrets = tmp_path / "etc", tmp_path / "secrets"
    write_volume(secrets, 1, **{"client-secret": CLIENT_SECRET})
    write_volume(etc, 1, **{"config.json": json.dumps(with_secret_file(cloud, secrets / "client-secret"))})
    arguments = ("serve", "--config", str(etc / "config.json"))
    with Process(*arguments, env=environment(tmp_path)) as process:
        process.event("watching")
        for revision, seconds in ((2, 1800), (3, 2700)):
            settings = with_secret_file(cloud, secrets / "client-secret", durationSeconds=seconds)
            write_volume(etc, revision, **{"config.json": json.dumps(settings)})
            wait_until(lambda revision=revision: len(process.events("config_reloaded")) == revision - 1)  # type: ignore[misc]
        before = len(process.events("credentials_issued"))
        accept(cloud, CLIENT_SECRET, "second-secret")
        write_volume(secrets, 2, **{"client-secret": "second-secret"})
        wait_until(lambda: len(process.events("credentials_issued")) >= before + 2)

        assert [line["changes"][0]["is"] for line in process.events("config_reloaded")] == [1800, 2700]
        assert process.events("refresh_failed") == []


def test_new_secret_is_tried_first(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """While IDaaS refuses a new secret, the previous one is used; once IDaaS accepts the new one, it is used."""
    secret = tmp_path / "client-secret"
    secret.write_text(CLIENT_SECRET)
    with running(cloud, tmp_path, with_secret_file(cloud, secret)) as sidecar:
        before = served_key(sidecar)
        secret.write_text("second-secret")
        warning = sidecar.process.event("token_mismatch", profile="default")["message"]
        wait_until(lambda: served_key(sidecar) != before)
        second_key = served_key(sidecar)
        accept(cloud, "second-secret")
        sidecar.process.send(signal.SIGHUP)
        secret.touch()
        wait_until(lambda: served_key(sidecar) != second_key)

        assert "the new client secret or key is refused; the previous one still works" in warning
        assert sidecar.process.events("refresh_failed") == []


def test_corrected_mode_of_a_secret(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A change that was refused for the mode of its secret's file is used after `chmod`, without a signal."""
    secret = tmp_path / "client-secret"
    secret.write_text(CLIENT_SECRET)
    secret.chmod(0o644)
    with running(cloud, tmp_path, config(cloud)) as sidecar:
        replace_config(sidecar, with_secret_file(cloud, secret))
        assert sidecar.process.event("config_reload_failed")["error_code"] == "IDS-108"
        secret.chmod(0o600)
        sidecar.process.event("config_reloaded")
        wait_until(lambda: status(sidecar)["config_error"] is None)


def test_token_file_appears(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A profile without a token file gets credentials as soon as the file is written, long before the next retry."""
    token = tmp_path / "volume" / "token"
    settings = config(cloud) | {"startup": {"gate": "listening"}}
    settings["refresh"] = {"minRetrySeconds": 60}
    settings["profiles"]["default"]["identity"] = {"type": "tokenFile", "tokenFile": str(token)}
    settings["profiles"]["default"]["exchange"]["oidcProviderArn"] = WORKLOAD_PROVIDER_ARN
    with serve(settings, home=tmp_path, env=ENV) as sidecar:
        assert sidecar.process.event("refresh_failed")["retry_in"] >= 30
        sidecar.process.event("watching")
        token.parent.mkdir()
        token.write_text(workload_token(cloud))
        sidecar.process.event("files_changed")
        sidecar.process.event("credentials_issued")


def test_changed_path_token(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A new path token is accepted once its file is replaced, and the previous one is rejected."""
    token = tmp_path / "path-token"
    token.write_text("first-path-token-0123456789")
    with running(cloud, tmp_path, two_profiles(cloud) | {"access": {"pathToken": {"file": str(token)}}}) as sidecar:
        base = sidecar.urls["credentials"]
        token.write_text("second-path-token-0123456789")
        wait_until(lambda: fetch(base, "/second-path-token-0123456789/credentials").status == 200)

        assert fetch(base, "/first-path-token-0123456789/credentials").status == 403
        assert issued(sidecar, "default") == 1


def test_storm_of_signals(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Hundreds of SIGHUPs in a row lead to the reload under way and one more, and the last state of the file counts."""
    with running(cloud, tmp_path, two_profiles(cloud)) as sidecar:
        for _ in range(500):
            sidecar.process.send(signal.SIGHUP)
        replace_config(sidecar, two_profiles(cloud) | {"access": {"browsers": "allow"}})
        sidecar.process.send(signal.SIGHUP)
        wait_until(lambda: any(line["changes"] for line in sidecar.process.events("config_reloaded")))

        assert len(sidecar.process.events("config_reloaded")) < 100


# --- under load -------------------------------------------------------------------------------------------------------


class Readers:
    """Clients that read without a pause. `statuses` has the statuses that they got."""

    def __init__(self, base: str, count: int) -> None:
        self.statuses: list[int] = []
        self._base = base
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._read) for _ in range(count)]

    def _read(self) -> None:
        while not self._over.is_set():
            with Connection(self._base) as connection:
                for path in ("/credentials", "/credentials/other"):
                    connection.send(request_head("GET", path))
                    self.statuses.append(connection.read_response().status)

    def __enter__(self) -> Readers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


def test_hundred_rotations(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """During a hundred changes of settings and secret no read fails, and each change is loaded."""
    secret = tmp_path / "client-secret"
    secret.write_text(CLIENT_SECRET)
    accept(cloud, CLIENT_SECRET, "second-secret")
    with (
        running(cloud, tmp_path, with_secret_file(cloud, secret)) as sidecar,
        Readers(sidecar.urls["credentials"], 3) as readers,
    ):
        for rotation in range(100):
            draft = secret.with_name("draft-secret")
            draft.write_text(("second-secret", CLIENT_SECRET)[rotation % 2])
            draft.rename(secret)
            replace_config(sidecar, with_secret_file(cloud, secret, durationSeconds=1801 + rotation))
            sidecar.process.send(signal.SIGHUP)
            wanted = {"key": "profiles.default.exchange.durationSeconds", "is": 1801 + rotation}
            wait_until(lambda wanted=wanted: is_reloaded(sidecar, wanted))  # type: ignore[misc]
        wait_until(lambda: metric(sidecar, 'credential_remaining_seconds{profile="default"}') <= 1900)

    assert len(readers.statuses) > 500
    assert set(readers.statuses) == {200}


def is_reloaded(sidecar: RunningSidecar, wanted: dict[str, Any]) -> bool:
    """Return whether the log reports a reload with a change that has these members."""
    changes = [change for line in sidecar.process.events("config_reloaded") for change in line["changes"]]
    return any(wanted.items() <= change.items() for change in changes)


def test_unverified_connection_is_reported(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """While the verified connection fails, the unverified one is used, and the metric reports that."""
    settings = config(cloud)
    identity = settings["profiles"]["default"]["identity"]
    identity["tokenEndpoint"] = f"{cloud.issuer}/token"
    identity["httpConfiguration"] = {"unsafeIgnoreSslCert": True}
    with running(cloud, tmp_path, settings) as sidecar:
        del identity["httpConfiguration"]
        replace_config(sidecar, settings)
        sidecar.process.event("refresh_failed")

        assert metric(sidecar, 'tls_verification_disabled{profile="default"}') == 1
        assert metric(sidecar, 'profile_change_pending{profile="default"}') == 1


def test_metrics_of_a_removed_profile(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """The gauges of a removed profile disappear from the metrics, so that no alert waits for it."""
    token = tmp_path / "token"
    token.write_text(workload_token(cloud))
    settings = two_profiles(cloud)
    settings["profiles"]["other"]["identity"] = {"type": "tokenFile", "tokenFile": str(token)}
    settings["profiles"]["other"]["exchange"]["oidcProviderArn"] = WORKLOAD_PROVIDER_ARN
    with running(cloud, tmp_path, settings) as sidecar:
        sample = 'identity_not_after_timestamp_seconds{kind="tokenFile",profile="other"}'
        before = metric(sidecar, sample)
        del settings["profiles"]["other"]
        replace_config(sidecar, settings)
        sidecar.process.event("config_reloaded")
        gauges = re.findall(r"idaas_sidecar_(\w+_seconds){[^}]*other", metrics_after_removal(sidecar))

        assert before > 0
        assert gauges == []


def metrics_after_removal(sidecar: RunningSidecar) -> str:
    """Wait for a scrape without the profile `other` and return it."""
    found = [""]

    def changed() -> bool:
        found[0] = fetch(sidecar.urls["ops"], "/metrics").body.decode()
        return 'remaining_seconds{profile="other"}' not in found[0]

    wait_until(changed)
    return found[0]


# --- a directory that other programs write to -------------------------------------------------------------------------

RENAMES = """
import os, sys
one, other = sys.argv[1] + "/one", sys.argv[1] + "/other"
open(one, "w").close()
for _ in range(100_000):
    os.rename(one, other)
    os.rename(other, one)
"""


def test_flood_of_file_changes(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Endless changes of other files in a watched directory cost less than a tenth of the elapsed time in CPU."""
    with running(cloud, tmp_path, two_profiles(cloud)) as sidecar:
        started, before = time.monotonic(), cpu_seconds(sidecar)
        subprocess.run([sys.executable, "-c", RENAMES, str(tmp_path)], check=True)
        used = cpu_seconds(sidecar) - before

        # The sidecar looks once per second, so a busy machine makes the share of CPU time smaller.
        assert used < (time.monotonic() - started) / 10
        assert fetch(sidecar.urls["credentials"], "/credentials").status == 200


def cpu_seconds(sidecar: RunningSidecar) -> float:
    """Return the CPU time that the process has used, in user and kernel mode."""
    words = Path(f"/proc/{sidecar.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
