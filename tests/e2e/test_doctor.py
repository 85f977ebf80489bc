"""`doctor` as a process: beside a running sidecar, over real sockets and TLS, and without any secret in its output."""

from __future__ import annotations

import json
import re
import shlex
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509

from app.doctor import running
from app.emulator.world.world import ACCESS_KEY_ID, ACCESS_KEY_SECRET, CLIENT_SECRET

from ..http_server import Handler, HttpServer, serving
from ..ports import unused_port
from ..setup import ram
from .cloud import ENV, add_fault, config, emulator_admin
from .processes import CommandResult, EmulatedCloud, environment, run, serve


@pytest.fixture(autouse=True)
def without_faults(cloud: EmulatedCloud) -> Iterator[None]:
    """Remove all faults after each test."""
    yield
    emulator_admin(cloud.url, "DELETE", "faults")


def doctor(settings: dict[str, Any], home: Path, *options: str, **variables: str) -> CommandResult:
    """Run the command with a configuration."""
    path = home / "config.json"
    path.write_text(json.dumps(settings))
    return run("doctor", "--config", str(path), *options, env=environment(home, **ENV, **variables))


def codes(done: CommandResult) -> list[str]:
    """Return the codes of the findings of a JSON document."""
    return [each["code"] for step in json.loads(done.out)["steps"] for each in step["findings"]]


def test_healthy_workload(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Exit code 0; the text ends with the verdict, and stderr is empty."""
    done = doctor(config(cloud), tmp_path)

    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "healthy: the cloud gives credentials; no running sidecar was asked"


def test_log_line_and_finding_have_one_code(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """What the running sidecar logs as `error_code` is what `doctor` finds; its status has the profile's state."""
    add_fault(cloud, kind="sts", times=None, code="AuthenticationFail.NoPermission")
    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar:
        line = sidecar.process.event("refresh_failed")
        ops = urlsplit(sidecar.urls["ops"])
        status = running.status(str(ops.hostname), int(ops.port or 0))
        done = doctor(config(cloud), tmp_path, "--json")

    assert line["error_code"] == "IDS-401"
    assert (done.code, codes(done)) == (1, ["IDS-401"])
    assert status["profiles"][0]["profile"] == "default"


def test_running_sidecar_is_asked_over_its_socket(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Without an operations listener, the admin socket reports the state; the finding has the cure of the refusal."""
    settings = config(cloud)
    settings["server"] |= {"ops": None, "adminSocket": str(tmp_path / "admin.sock")}
    add_fault(cloud, kind="sts", times=None, code="EntityNotExist.Role", status=404)
    with serve(settings, home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("refresh_failed")
        done = run("doctor", "--config", str(sidecar.config_path), "--json", env=environment(tmp_path, **ENV))

    (found,) = [step for step in json.loads(done.out)["steps"] if step["step"] == "sidecar"]
    assert found["facts"]["source"] == "admin socket"
    assert [each["code"] for each in found["findings"]] == ["IDS-504"]
    assert "(IDS-412)" in found["findings"][0]["message"]
    assert found["findings"][0]["follows"] == ["IDS-412"]
    assert "correct roleArn" not in found["findings"][0]["message"]


def listens(port: int) -> bool:
    """Return whether a program listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("text", ["{", '{"configVersion": "1.0"}'], ids=["no JSON", "no profiles"])
def test_running_sidecar_beside_a_broken_file(cloud: EmulatedCloud, tmp_path: Path, text: str) -> None:
    """Where the file cannot be used, the running sidecar is examined at the addresses that the file still names."""
    if text == "{" and listens(7118):
        pytest.skip("another program listens on the default port 7118")
    settings = config(cloud)
    settings["server"] |= {"ops": None, "adminSocket": str(tmp_path / "admin.sock")}
    with serve(settings, home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        sidecar.process.event("watching")
        broken = json.loads(text) | {"server": settings["server"]} if text != "{" else None
        sidecar.config_path.write_text(text if broken is None else json.dumps(broken))
        sidecar.process.event("config_reload_failed")
        done = run("doctor", "--config", str(sidecar.config_path), "--json", env=environment(tmp_path, **ENV))

    step = next(each for each in json.loads(done.out)["steps"] if each["step"] == "sidecar")
    if broken is None:  # the default addresses
        assert "7118" in step["summary"]
        return
    assert step["facts"]["profiles"] == {"default": "fresh"}
    (found,) = step["findings"]
    assert found["code"] == "IDS-506"
    assert found["message"].endswith("(IDS-106)")


def test_application_is_connected_where_the_sidecar_listens(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """The URI of a running sidecar has no finding; after its end, no program listens there."""
    variables = {"ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true"}
    settings = config(cloud)
    settings["server"]["bind"] = f"127.0.0.1:{unused_port()}"
    with serve(settings, home=tmp_path, env=ENV) as sidecar:
        sidecar.process.event("credentials_issued")
        variables["ALIBABA_CLOUD_CREDENTIALS_URI"] = f"{sidecar.urls['credentials']}/credentials"
        served = doctor(config(cloud), tmp_path, "--json", **variables)
    ended = doctor(config(cloud), tmp_path, "--json", **variables)

    assert codes(served) == []
    assert codes(ended) == ["IDS-525"]


def test_another_program_at_the_credentials_port(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """`doctor` finds the program that keeps `serve` from starting, with the code of `serve`; the sidecar is none."""
    settings = config(cloud)
    with serving(HttpServer(Handler)) as server:
        settings["server"] = {"bind": f"127.0.0.1:{server.server_port}", "ops": None}
        found = doctor(settings, tmp_path, "--json")
        started = run("serve", "--config", str(tmp_path / "config.json"), env=environment(tmp_path, **ENV))
    assert (found.code, codes(found)) == (1, ["IDS-502"])
    assert "server.bind: another program listens on" in found.out
    assert (started.code, "IDS-502" in started.err) == (2, True)

    with serve(config(cloud), home=tmp_path, env=ENV) as sidecar:
        settings["server"]["bind"] = sidecar.urls["credentials"].removeprefix("http://")
        beside = doctor(settings, tmp_path, "--json")
    assert (beside.code, codes(beside)) == (0, [])


def test_untrusted_ca_is_cured_by_its_message(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Over TLS, an unknown CA is found at both servers, and is cured by `tls.caFile`, which the message names."""
    settings = config(cloud)
    profile = settings["profiles"]["default"]
    profile["identity"]["tokenEndpoint"] = profile["identity"]["tokenEndpoint"].replace(cloud.url, cloud.tls_url)
    profile["exchange"]["endpoints"] = [cloud.tls_url]

    broken = doctor(settings, tmp_path, "--json")
    assert codes(broken) == ["IDS-212", "IDS-212"]
    assert "tls.caFile" in broken.out
    issuer = x509.load_pem_x509_certificate(cloud.ca_file.read_bytes()).subject.rfc4514_string()
    findings = [each for step in json.loads(broken.out)["steps"] for each in step["findings"]]
    assert all(f"signed by {issuer}" in each["message"] for each in findings)
    assert all(issuer in each["cure"] or each["follows"] == ["IDS-212"] for each in findings)
    assert findings[0]["follows"] == []

    cured = doctor(settings | {"tls": {"caFile": str(cloud.ca_file)}}, tmp_path, "--json")
    assert (cured.code, codes(cured)) == (0, [])


def test_http_at_a_port_that_speaks_tls(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """The cure names the scheme, and no text has the name of an exception."""
    settings = config(cloud)
    settings["profiles"]["default"]["exchange"]["endpoints"] = [cloud.tls_url.replace("https://", "http://")]
    done = doctor(settings, tmp_path)

    assert done.code == 1
    assert "IDS-207" in done.out
    assert re.search("cure: begin (its|the) URL with https://", done.out)
    assert not re.search(r"\b[A-Z][a-z]+[A-Za-z]*(Error|Exception)\b", done.out)


def test_fingerprint_in_ram_is_cured_by_its_message(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """With an AccessKey in two variables, the provider's fingerprint in RAM is compared with the issuer's chain."""
    name = {"OIDCProviderName": "idaas-demo"}
    options = ("--read-ram", "--ram-endpoint", cloud.url, "--ram-key-id", "AUDITOR", "--ram-key-secret", "AUDITOR_KEY")
    keys = {"AUDITOR": ACCESS_KEY_ID, "AUDITOR_KEY": ACCESS_KEY_SECRET}
    assert codes(doctor(config(cloud), tmp_path, *options, "--json", **keys)) == []

    ram.call(cloud.url, "ims", "AddFingerprintToOIDCProvider", name | {"Fingerprint": "a" * 40})
    broken = doctor(config(cloud), tmp_path, *options, "--json", **keys)
    step = next(each for each in json.loads(broken.out)["steps"] if each["step"] == "OIDC provider")
    assert [each["code"] for each in step["findings"]] == ["IDS-410"]
    assert ACCESS_KEY_SECRET not in broken.out + broken.err
    assert ACCESS_KEY_ID not in broken.out + broken.err

    command = shlex.split(step["findings"][0]["cure"].split("`")[1])
    assert command[:3] == ["aliyun", "ims", "AddFingerprintToOIDCProvider"]
    parameters = dict(zip((each[2:] for each in command[3::2]), command[4::2], strict=True))
    ram.call(cloud.url, *command[1:3], parameters)
    cured = doctor(config(cloud), tmp_path, *options, "--json", **keys)
    assert (cured.code, codes(cured)) == (0, [])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--read-ram",), "ALIBABA_CLOUD_ACCESS_KEY_ID: not set"),
        (("--ram-key-id", "AUDITOR"), "give both or neither"),
        (("--ram-endpoint", "http://127.0.0.1:1"), "only with --read-ram"),
        (("--ram-profile", "other"), "there is no profile 'other'"),
        (("--ram-profile", "default", "--ram-key-id", "A", "--ram-key-secret", "B"), "choose one"),
    ],
)
def test_ram_options_that_cannot_work(
    cloud: EmulatedCloud, tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    """Options that do not say how to read RAM exit with 2 and one line."""
    done = doctor(config(cloud), tmp_path, *options)

    assert done.code == 2
    assert says in done.error_line


@pytest.mark.parametrize("kind", ["token", "sts"])
def test_answer_that_quotes_the_request(cloud: EmulatedCloud, tmp_path: Path, kind: str) -> None:
    """An answer that quotes what was sent puts no secret and no token into either output."""
    add_fault(cloud, kind=kind, times=None, code="invalid_request", status=400, message="Words.", quotesRequest=True)

    for options in ((), ("--json",)):
        done = doctor(config(cloud), tmp_path, *options)
        assert done.code == 1
        assert "Words." in done.out
        assert CLIENT_SECRET not in done.out + done.err
        assert "eyJ" not in done.out + done.err
