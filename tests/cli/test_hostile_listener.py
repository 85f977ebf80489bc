"""Commands for the running sidecar, where another user's program listens at the address of its operations listener."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import cli

from ..http_server import Handler, HttpServer, serving
from ..status_sample import STATUS
from ..wrong_types import ESCAPES, prints, variants

ENVIRON = {"S": "s"}


class Listener(HttpServer):
    """Answers each GET with `body`."""

    body = b""


class Answering(Handler):
    """Sends the body of the server."""

    server: Listener

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.body)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """The other program."""
    with serving(Listener(Answering)) as server:
        yield server


@pytest.fixture
def config(listener: Listener, tmp_path: Path) -> str:
    """A configuration of a sidecar that does not run, for a cloud that does not answer."""
    authentication = {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "S"}
    identity = {"type": "idaas", "idaasInstanceId": "i", "clientId": "a", "scope": "b|.all"}
    identity |= {"issuer": "https://127.0.0.1:1", "tokenEndpoint": "https://127.0.0.1:1"}
    exchange = {
        "roleArn": "acs:ram::1:role/a",
        "oidcProviderArn": "acs:ram::1:oidc-provider/a",
        "endpoints": ["https://127.0.0.1:1"],
    }
    profile = {"identity": {**identity, "authnConfiguration": authentication}, "exchange": exchange}
    path = tmp_path / "config.json"
    server = {"ops": f"127.0.0.1:{listener.server_port}"}
    path.write_text(json.dumps({"configVersion": "1.0", "server": server, "profiles": {"default": profile}}))
    return str(path)


def test_status(listener: Listener, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the answer has instead of a value: lines that print, or one line that says it is no status."""
    status = {**STATUS, "profiles": STATUS["profiles"][:1]}
    listener.body = json.dumps(status).encode()
    assert cli.main(["status", "--config", config], ENVIRON) == 0
    assert "shop/orders-0: " in capsys.readouterr().out  # the body is read
    for each in variants(status):
        listener.body = json.dumps(each).encode()
        code = cli.main(["status", "--config", config], ENVIRON)
        shown = capsys.readouterr()
        assert code in (0, 2, 4), each
        assert prints(shown.out + shown.err), each
        assert "internal error" not in shown.err, each


def test_doctor(listener: Listener, config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The step `sidecar` reads the answer or says that another program listens; all of the output prints."""
    failure = {"error_code": "IDS-401", "cure": "change it"}
    profile = {"profile": "default", "state": "starting", "last_error": "no", "on_trial": "no", "failure": failure}
    status = {"config": "a", "config_error": "b", "restart_needed": ["c"], "profiles": [profile]}
    listener.body = json.dumps(status).encode()
    cli.main(["doctor", "--config", config], ENVIRON)
    assert "change it" in capsys.readouterr().out  # the body is read
    for each in variants(status):
        listener.body = json.dumps(each).encode()
        code = cli.main(["doctor", "--config", config], ENVIRON)
        shown = capsys.readouterr()
        assert code == 1, each
        assert prints(shown.out + shown.err), each


@pytest.mark.parametrize("command", ["health", "status", "doctor"])
@pytest.mark.parametrize("body", [ESCAPES.encode(), b"[" * 100_000, b"9" * 6_000, b"\xff"])
def test_answers_that_are_no_json(
    command: str, body: bytes, listener: Listener, config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No text of the other program reaches the terminal as it stands."""
    listener.body = body
    code = cli.main([command, "--config", config], ENVIRON)
    shown = capsys.readouterr()

    assert code == {"health": 0, "status": 4, "doctor": 1}[command]
    assert "IDS-503" not in shown.out + shown.err  # the body is read
    assert prints(shown.out + shown.err)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"server": {"ops": "127.0.0.1:99999"}}', "9" * 6_000, '"\\'])
def test_health_with_a_hostile_file(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A probe fails with one line, whatever the configuration is."""
    path = tmp_path / "config.json"
    path.write_text(text)

    assert cli.main(["health", "--config", str(path)], {}) == 1
    assert capsys.readouterr().err.startswith("idaas-sidecar health: ")
