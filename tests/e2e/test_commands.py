"""Every command as a real process; the emulated cloud is another process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app import __version__
from app.emulator.world.world import CLIENT_ID, CLIENT_SECRET, INSTANCE_ID, PROVIDER_ARN, SCOPE, role_arn

from .processes import DEADLINE, ROOT, EmulatedCloud, Process, demo, environment, run, serve

TOKEN_PATH = "/api/v2/iauths_system/oauth2/token"
SECRET = {"IDAAS_SECRET": CLIENT_SECRET}


def configuration(cloud: EmulatedCloud, base: str = "", **changes: Any) -> dict[str, Any]:
    """Return a configuration with one profile at `cloud` and listeners on free ports."""
    base = base or cloud.url
    identity = {
        "idaasInstanceId": INSTANCE_ID,
        "clientId": CLIENT_ID,
        "issuer": cloud.issuer,
        "tokenEndpoint": f"{base}{TOKEN_PATH}",
        "scope": SCOPE,
        "authnConfiguration": {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "IDAAS_SECRET"},
    }
    exchange = {"roleArn": role_arn("default"), "oidcProviderArn": PROVIDER_ARN, "endpoints": [base]}
    return {
        "configVersion": "1.0",
        "profiles": {"default": {"identity": identity, "exchange": exchange}},
        "server": {"bind": "127.0.0.1:0", "ops": "127.0.0.1:0"},
        **changes,
    }


@pytest.fixture
def path(cloud: EmulatedCloud, tmp_path: Path) -> str:
    """The path of a configuration file."""
    return write_config(tmp_path, configuration(cloud))


def write_config(tmp_path: Path, config: Any) -> str:
    """Write a configuration file and return its path."""
    file = tmp_path / "written.json"
    file.write_text(json.dumps(config))
    return str(file)


def fetch_json(url: str) -> dict[str, Any]:
    """Fetch a JSON document."""
    with urllib.request.urlopen(url, timeout=DEADLINE) as response:
        document: dict[str, Any] = json.load(response)
        return document


# --- get --------------------------------------------------------------------------------------------------------------

KEY, WORD, TIME = r"STS\.[A-Za-z0-9]+", r"[A-Za-z0-9+/=._-]+", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
FORMATS = {
    "json": rf'{{"AccessKeyId": "{KEY}", "AccessKeySecret": "{WORD}", "SecurityToken": "{WORD}", '
    rf'"Expiration": "{TIME}"}}\n',
    "uri": rf'{{"Code":"Success","StatusCode":"200","AccessKeyId":"{KEY}","AccessKeySecret":"{WORD}",'
    rf'"SecurityToken":"{WORD}","Expiration":"{TIME}","LastUpdated":"{TIME}"}}\n',
    "external": rf'{{"mode": "StsToken", "access_key_id": "{KEY}", "access_key_secret": "{WORD}", '
    rf'"sts_token": "{WORD}", "expiration": "{TIME}"}}\n',
    "env": rf"export ALIBABA_CLOUD_ACCESS_KEY_ID={KEY}\nexport ALIBABA_CLOUD_ACCESS_KEY_SECRET={WORD}\n"
    rf"export ALIBABA_CLOUD_SECURITY_TOKEN={WORD}\n",
    "aliyun": rf'{{"current": "default", "profiles": \[{{"name": "default", "mode": "StsToken", '
    rf'"access_key_id": "{KEY}", "access_key_secret": "{WORD}", '
    rf'"sts_token": "{WORD}", "region_id": "cn-hangzhou", "output_format": "json", '
    rf'"language": "en"}}\]}}\n',
    "aws": rf'{{"Version": 1, "AccessKeyId": "{KEY}", "SecretAccessKey": "{WORD}", "SessionToken": "{WORD}", '
    rf'"Token": "{WORD}", "Expiration": "{TIME}"}}\n',
}


@pytest.mark.parametrize("name", FORMATS)
def test_get(name: str, path: str, tmp_path: Path) -> None:
    """`get` prints one credential in each format, with exactly the documented text, and nothing on stderr."""
    result = run("get", "--config", path, "--format", name, env=environment(tmp_path, **SECRET))

    assert (result.code, result.err) == (0, "")
    assert re.fullmatch(FORMATS[name], result.out)


def test_get_into_a_file(path: str, tmp_path: Path) -> None:
    """`--out` replaces the file as a whole with mode 0600; a file that cannot be written is one error line."""
    target, missing = tmp_path / "credentials.json", tmp_path / "nowhere" / "x"
    target.write_text("previous content")
    done = run("get", "--config", path, "--format", "aliyun", "--out", str(target), env=environment(tmp_path, **SECRET))
    failed = run("get", "--config", path, "--out", str(missing), env=environment(tmp_path, **SECRET))

    assert (done.code, done.out, done.err) == (0, "", "")
    assert re.fullmatch(FORMATS["aliyun"], target.read_text())
    assert target.stat().st_mode & 0o777 == 0o600
    assert failed.code == 2
    assert failed.error_line == (
        f"idaas-sidecar get: {missing}: cannot be written: No such file or directory; create its directory (IDS-603)"
    )
    assert sorted(item.name for item in tmp_path.iterdir() if "credentials" in item.name) == ["credentials.json"]


def test_get_prints_json_by_default(path: str, tmp_path: Path) -> None:
    """Without --format, `get` prints JSON, and the session lasts for an hour."""
    result = run("get", "--config", path, env=environment(tmp_path, **SECRET))

    expires_at = datetime.fromisoformat(json.loads(result.out)["Expiration"])
    assert 3500 < (expires_at - datetime.now(UTC)).total_seconds() <= 3600


def test_get_over_tls(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """Only the CA that $SSL_CERT_FILE or tls.caFile names is trusted."""
    by_name = write_config(tmp_path, configuration(cloud, cloud.tls_url))
    trusting = run("get", "--config", by_name, env=environment(tmp_path, **SECRET, SSL_CERT_FILE=str(cloud.ca_file)))
    without = run("get", "--config", by_name, env=environment(tmp_path, **SECRET))
    in_file = write_config(tmp_path, configuration(cloud, cloud.tls_url, tls={"caFile": str(cloud.ca_file)}))
    by_file = run("get", "--config", in_file, env=environment(tmp_path, **SECRET))

    assert (trusting.code, by_file.code) == (0, 0)
    assert without.code == 4
    assert "the server's certificate is not from a trusted CA" in without.error_line


# --- serve, health, env -----------------------------------------------------------------------------------------------


def test_serve(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """`serve` logs its listeners in the first line, serves credentials, and exits with 0 after SIGTERM."""
    with serve(configuration(cloud), home=tmp_path, env=SECRET) as sidecar:
        first = json.loads(sidecar.process.stderr.lines()[0])
        sidecar.process.event("credentials_issued", profile="default")
        served = fetch_json(f"{sidecar.urls['credentials']}/credentials")
        code = sidecar.process.stop()

    assert (first["event"], first["version"], first["config"]) == ("listening", __version__, str(sidecar.config_path))
    assert {"credentials", "ops"} <= first.keys()
    assert served["Code"] == "Success"
    assert code == 0
    assert sidecar.process.stdout.lines() == []


def test_health_of_a_running_sidecar(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """`health` exits with 0 for a live sidecar, with --ready for one with credentials, and with 1 for none."""
    config = configuration(cloud, startup={"gate": "listening"})
    with serve(config, home=tmp_path, env=SECRET) as sidecar:
        sidecar.process.event("credentials_issued")
        ops = sidecar.urls["ops"].removeprefix("http://")
        path = write_config(tmp_path, {"server": {"ops": ops}})
        env = environment(tmp_path)
        live, ready = run("health", "--config", path, env=env), run("health", "--ready", "--config", path, env=env)
        by_variable = run("health", env={**env, "IDAAS_SIDECAR_CONFIG": path})
    absent = run("health", "--config", path, env=env)

    assert (live.code, ready.code, by_variable.code) == (0, 0, 0)
    assert (live.err, ready.err) == ("", "")
    assert absent.code == 1
    assert (
        absent.error_line
        == f"idaas-sidecar health: {ops}: Connection refused; check that the sidecar is running (IDS-503)"
    )


def test_health_of_a_sidecar_without_credentials(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """A sidecar without credentials is live and not ready."""
    config = configuration(cloud, base="http://127.0.0.1:9", startup={"gate": "listening"})
    with serve(config, home=tmp_path, env=SECRET) as sidecar:
        sidecar.process.event("refresh_failed")
        path = write_config(tmp_path, {"server": {"ops": sidecar.urls["ops"].removeprefix("http://")}})
        live, ready = (run("health", *flag, "--config", path, env=environment(tmp_path)) for flag in ([], ["--ready"]))

    assert (live.code, ready.code) == (0, 1)
    assert json.loads(ready.out)["profiles"][0]["error_code"] == "IDS-203"
    assert ready.error_line.endswith(": /readyz answers 503 (IDS-203)")


HEAVY_MODULES = (
    "msgspec",
    "httpx",
    "asyncio",
    "ssl",
    "logging",
    "typing",
    "fastapi",
    "uvicorn",
    "jwt",
    "cryptography",
    "app.config",
)


def test_health_imports_no_heavy_module(tmp_path: Path) -> None:
    """`health` imports no heavy module: a probe that runs every few seconds must take milliseconds."""
    imported = modules_of("health", tmp_path=tmp_path)

    assert {"argparse", "socket"} <= imported
    assert sorted(imported & set(HEAVY_MODULES)) == []


def test_env_imports_no_client(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """`env` asks no server, so it imports neither the pipeline nor an HTTP client."""
    path = write_config(tmp_path, configuration(cloud, server={"bind": "127.0.0.1:7117"}))
    imported = modules_of("env", "--config", path, tmp_path=tmp_path)

    assert "app.cli.profile_option" in imported
    assert sorted(imported & {"httpx", "app.refresh", "app.upstream.client"}) == []


def modules_of(*arguments: str, tmp_path: Path) -> set[str]:
    """Return the names of the modules that a command imports."""
    command = (sys.executable, "-X", "importtime", "-m", "app", *arguments)
    done = subprocess.run(
        command, env=environment(tmp_path), cwd=ROOT, capture_output=True, encoding="utf-8", timeout=DEADLINE
    )
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time")}


def test_env_is_valid_shell(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """The output of `env` sets the URI in a real shell and unsets static keys."""
    path = write_config(tmp_path, configuration(cloud, server={"bind": "127.0.0.1:7117"}))
    printed = run("env", "--config", path, env=environment(tmp_path)).out
    script = f'{printed}\necho "$ALIBABA_CLOUD_CREDENTIALS_URI $ALIBABA_CLOUD_ACCESS_KEY_ID."'

    done = subprocess.run(
        ("sh", "-eu", "-c", script.replace("$ALIBABA_CLOUD_ACCESS_KEY_ID", "${ALIBABA_CLOUD_ACCESS_KEY_ID-unset}")),
        env=environment(tmp_path, ALIBABA_CLOUD_ACCESS_KEY_ID="static"),
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
    )

    assert done.stdout == "http://127.0.0.1:7117/credentials unset.\n"


# --- demo, emulator ---------------------------------------------------------------------------------------------------


def test_demo(tmp_path: Path) -> None:
    """`demo --json` prints one line when it is ready: URLs that respond, and the variables for clients and `serve`."""
    with demo("--profiles", "2", "--lifetime", "1000", home=tmp_path) as running:
        default, second = fetch_json(running.credentials_uri), fetch_json(f"{running.credentials_uri}/p2")
        config = json.loads(running.config_path.read_text())
        env = environment(tmp_path, **running.env)
        second_get = run("get", "--config", str(running.config_path), "--profile", "p2", env=env)
        good = run("config", "--config", str(running.config_path), env=env)
        code = running.process.stop()

    assert {default["Code"], second["Code"]} == {"Success"}
    assert default["AccessKeyId"] != second["AccessKeyId"]
    assert list(config["profiles"]) == ["default", "p2"]
    assert running.config_path.is_absolute()
    assert running.env["ALIBABA_CLOUD_CREDENTIALS_URI"] == running.credentials_uri
    assert running.env["ALIBABA_CLOUD_ECS_METADATA_DISABLED"] == "true"
    assert (second_get.code, good.code, code) == (0, 0, 0)
    assert len(running.process.stdout.lines()) == 1


def test_demo_in_text_mode(tmp_path: Path) -> None:
    """Without --json, `demo` prints export lines that work."""
    with Process("demo", "--port", "0", env=environment(tmp_path)) as process:
        line = process.stdout.find(lambda text: text.startswith("export ALIBABA_CLOUD_CREDENTIALS_URI="))
        document = fetch_json(line.partition("=")[2])
        code = process.stop()

    assert document["Code"] == "Success"
    assert code == 0


def test_demo_removes_its_files(tmp_path: Path) -> None:
    """`demo` removes its configuration and its CA when it stops."""
    with demo(home=tmp_path) as running:
        assert running.config_path.exists()
        running.process.stop()

    assert list(tmp_path.iterdir()) == []


def test_emulator(cloud: EmulatedCloud) -> None:
    """The issuer is on the TLS port, and every response of the emulator carries its mark."""
    with urllib.request.urlopen(f"{cloud.url}/_emulator/journal", timeout=DEADLINE) as response:
        marks = [name for name in response.headers if name.lower() == "x-idaas-emulator"]

    assert cloud.issuer.startswith(cloud.tls_url)
    assert marks


# --- config, version --------------------------------------------------------------------------------------------------


def test_config(path: str, tmp_path: Path) -> None:
    """`config` reports a valid file, shows its values and prints the schema, without a secret."""
    env = environment(tmp_path, **SECRET)
    good, show, schema = (run("config", "--config", path, *flag, env=env) for flag in ([], ["--show"], ["--schema"]))

    assert good.out == f"{path}: valid; profiles: default\n"
    assert f'"127.0.0.1:0"  ({path})' in show.out
    assert json.loads(schema.out)["$schema"].startswith("https://json-schema.org/")
    assert (good.code, show.code, schema.code) == (0, 0, 0)
    assert CLIENT_SECRET not in good.out + show.out + schema.out


def test_version(tmp_path: Path) -> None:
    """`version` prints the version of the package."""
    result = run("version", env=environment(tmp_path))

    assert (result.code, result.out, result.err) == (0, f"idaas-sidecar {__version__}\n", "")


def test_closed_pipe(tmp_path: Path) -> None:
    """A command whose output pipe is closed ends without an error message."""
    env = environment(tmp_path)
    done = subprocess.run(
        ("sh", "-c", f"{sys.executable} -m app config --schema | true"),
        env=env,
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
    )

    assert done.stderr == ""
