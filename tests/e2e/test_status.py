"""The command `status` and the status page of a real process: over the admin socket, else the operations listener."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from ..ports import unused_port
from .cloud import ENV, SECRET, add_fault, config
from .processes import CommandResult, EmulatedCloud, RunningSidecar, environment, run, serve, wait_until
from .slow_servers import dripping
from .wire import fetch

pytestmark = pytest.mark.usefixtures("clear_faults")


def settings(cloud: EmulatedCloud, **server: str) -> dict[str, Any]:
    """Return a configuration whose operations listener has a port that the command can read in the file."""
    found = config(cloud)
    found["server"] |= {"ops": f"127.0.0.1:{unused_port()}", **server}
    return found


def status(sidecar: RunningSidecar, *flags: str) -> CommandResult:
    """Run `status` for a sidecar, without its secrets in the environment."""
    arguments = ("status", "--config", str(sidecar.config_path), *flags)
    return run(*arguments, env=environment(sidecar.config_path.parent))


def test_status_over_the_admin_socket(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """With an admin socket the command needs no operations listener; text and JSON have no secret and no colour."""
    members = settings(cloud, adminSocket=str(tmp_path / "admin.sock"))
    members["server"]["ops"] = None
    with serve(members, home=tmp_path, env=ENV | {"POD_NAME": "orders-0", "POD_NAMESPACE": "shop"}) as sidecar:
        sidecar.process.event("credentials_issued")
        body = json.loads(fetch(sidecar.urls["credentials"], "/credentials").body)
        shown, found = status(sidecar), status(sidecar, "--json")

    assert (shown.code, shown.err, found.code, found.err) == (0, "", 0, "")
    lines = shown.out.splitlines()
    assert lines[0] == "shop/orders-0: ready"
    assert "default: fresh, valid credentials, and the last refresh succeeded" in lines
    assert "[####################] 59 min" in shown.out or "[####################] 1 h" in shown.out
    assert re.search(
        r"attempts +20\S+Z succeeded after \d\.\d\d s \(token \d\.\d\d s, exchange \d\.\d\d s\)", shown.out
    )
    assert "\033" not in shown.out
    members = json.loads(found.out)
    assert (members["ready"], members["host"], len(found.out.splitlines())) == (True, "shop/orders-0", 1)
    secrets = (SECRET, body["AccessKeySecret"], body["SecurityToken"], "eyJ")
    assert not [secret for secret in secrets if secret in shown.out + found.out]


def test_status_of_a_profile_that_cannot_work_as_configured(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A server with opaque tokens is a mistake of the configuration: status, metric, probe and `doctor` say so."""
    opaque = json.dumps({"access_token": "opaque-1", "token_type": "Bearer", "expires_in": 600})
    add_fault(cloud, kind="token", times=None, status=200, body=opaque)
    with serve(settings(cloud), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("refresh_failed")
        (profile,) = json.loads(status(sidecar, "--json").out)["profiles"]
        states = [
            line for line in fetch(sidecar.urls["ops"], "/metrics").body.decode().splitlines() if "_state{" in line
        ]
        (ready,) = json.loads(fetch(sidecar.urls["ops"], "/readyz").body)["profiles"]
        environ = environment(tmp_path, **ENV)
        doctor = run("doctor", "--config", str(sidecar.config_path), env=environ)

    assert (profile["state"], profile["failure"]["error_code"]) == ("misconfigured", "IDS-321")
    assert [line for line in states if line.endswith(" 1.0")] == [
        'idaas_sidecar_profile_state{profile="default",state="misconfigured"} 1.0'
    ]
    assert (ready["state"], ready["error_code"]) == ("misconfigured", "IDS-321")
    assert "the running sidecar's profile default is misconfigured" in doctor.out


def test_status_while_the_sidecar_stops(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """After SIGTERM, command and page say that the sidecar stops, although it still answers.

    A document of just before may be shared for a moment.
    """
    members = settings(cloud) | {"shutdown": {"drainSeconds": 600}}
    with serve(members, home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        before = status(sidecar)
        sidecar.process.send(signal.SIGTERM)
        sidecar.process.event("draining")
        wait_until(lambda: status(sidecar).out.partition("\n")[0].endswith(": stopping"))
        page = fetch(sidecar.urls["ops"], "/status").body.decode()
        sidecar.process.send(signal.SIGTERM)

    assert re.match(r"\S+: ready\n", before.out)
    assert "Stopping: requests are answered until the sidecar ends." in page


def test_status_over_the_operations_listener(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Without an admin socket, or with one that does not answer, the operations listener is asked."""
    with serve(settings(cloud), home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        plain = status(sidecar)
        changed = json.loads(sidecar.config_path.read_text())
        changed["server"]["adminSocket"] = str(tmp_path / "absent.sock")
        other = tmp_path / "other.json"
        other.write_text(json.dumps(changed))
        fallback = run("status", "--config", str(other), env=environment(tmp_path))

    assert (plain.code, fallback.code) == (0, 0), plain.err + fallback.err
    assert "default: fresh" in plain.out
    assert "default: fresh" in fallback.out


def test_status_of_a_refused_profile(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Command and page show the cloud's own words and the cure once; the exit code is 0: the sidecar answered."""
    add_fault(cloud, kind="sts", times=None, code="AuthenticationFail.NoPermission", message="No <b>such</b> trust.")
    members = settings(cloud) | {"startup": {"gate": "listening"}}
    with serve(members, home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("refresh_failed")
        shown = status(sidecar)
        page = fetch(sidecar.urls["ops"], "/status").body.decode()

    assert shown.code == 0, shown.err
    assert "default: denied" in shown.out
    assert "cloud's words  No <b>such</b> trust." in shown.out
    assert re.search(r"what to do +request the token with the issuer, audience and subject", shown.out)
    assert "No &lt;b&gt;such&lt;/b&gt; trust." in page
    assert "<b>" not in page
    assert ": not ready – idaas-sidecar</title>" in page
    assert "Request the token with the issuer, audience and subject" in page
    for text in (shown.out, page):
        assert text.lower().count("request the token with the issuer") == text.count("trust.") == 1


def test_no_sidecar(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Where no sidecar answers, one line names both places, and the exit code is 4."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings(cloud, adminSocket=str(tmp_path / "admin.sock"))))
    done = run("status", "--config", str(path), env=environment(tmp_path))

    assert done.code == 4
    assert "admin.sock: No such file or directory" in done.error_line
    assert re.search(
        r"127\.0\.0\.1:\d+: Connection refused; check that the sidecar is running \(IDS-503\)$", done.error_line
    )


def test_the_page_refreshes_on_request(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """`/status?refresh=on` reloads itself, `/status` does not; another site, a proxy and a form get neither."""
    with serve(settings(cloud), home=tmp_path, env=ENV) as sidecar:
        ops = sidecar.urls["ops"]
        running, paused, errors = (fetch(ops, path) for path in ("/status?refresh=on", "/status", "/errors"))
        refused = [
            fetch(ops, "/status", host="evil.example"),
            fetch(ops, "/status", "X-Forwarded-For: 10.0.0.1"),
            fetch(ops, "/status", method="POST"),
        ]

    assert b'http-equiv="refresh" content="10"' in running.body
    assert b"http-equiv" not in paused.body
    assert running.headers["content-security-policy"].startswith("default-src 'none'")
    assert [item.status for item in refused] == [403, 403, 405]
    assert b'<h3 id="IDS-401">' in errors.body


@pytest.mark.parametrize("command", ["health", "status", "doctor"])
def test_a_listener_that_drips(command: str, cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Another user's program that sends a byte now and then does not hold the command."""
    with dripping() as (port,):
        path = tmp_path / "config.json"
        path.write_text(json.dumps(settings(cloud, ops=f"127.0.0.1:{port}")))
        done = run(command, "--config", str(path), env=environment(tmp_path) | ENV)

    assert f"127.0.0.1:{port}: no answer in time" in done.out + done.err


def test_health_with_a_pipe_for_a_file(tmp_path: Path) -> None:
    """A configuration that is a pipe without a writer does not hold the probe."""
    path = tmp_path / "config.json"
    os.mkfifo(path)
    done = run("health", "--config", str(path), env=environment(tmp_path))

    assert (done.code, "not a regular file" in done.err) == (1, True)
