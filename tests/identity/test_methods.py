"""The table of authentication methods: what a new method needs, and nothing more."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from ..http_server import Handler, HttpServer, serving

ROOT = Path(__file__).parents[2]

BADGE_MODULE = """
from ...core.base import ProofFile
from ...core.checks import check
from ...system.secrets import Rotating, from_file
from ..client_auth import Proof
from .method import Method


class Badge:
    def __init__(self, secret):
        self._secret = secret

    async def prove(self, endpoint):
        return Proof(fields={"badge": self._secret()})


class IdaasBadge(Method, tag_field="authnMethod", tag="BADGE", frozen=True, kw_only=True):
    badge_file: ProofFile

    def read_checks(self, place, environ):
        yield check(from_file(self.badge_file, f"{place}.badgeFile"))

    def build(self, parts):
        secret = Rotating(from_file(self.badge_file, f"{parts.place}.badgeFile"))
        return parts.token_endpoint_source(Badge(secret), secret)
"""
ROW = "    badge.IdaasBadge,\n"


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the program with one more method: one module, one row, one import."""
    home = tmp_path_factory.mktemp("extended")
    shutil.copytree(ROOT / "app", home / "app", ignore=shutil.ignore_patterns("__pycache__"))
    methods = home / "app" / "identity" / "methods"
    (methods / "badge.py").write_text(BADGE_MODULE)
    table = methods / "__init__.py"
    text = table.read_text()
    assert text.count("    plugin.IdaasPlugin,\n") == 1
    text = text.replace("    plugin.IdaasPlugin,\n", f"    plugin.IdaasPlugin,\n{ROW}")
    table.write_text(text.replace("from . import (\n", "from . import (\n    badge,\n"))
    return home


@pytest.fixture
def token_endpoint() -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    """A token endpoint that refuses every client, and the forms that it has received."""
    forms: list[dict[str, list[str]]] = []

    class Endpoint(Handler):
        def do_POST(self) -> None:
            forms.append(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            body = b'{"error": "invalid_client"}'
            self.send_response(400)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(HttpServer(Endpoint)) as server:
        yield f"http://127.0.0.1:{server.server_port}/token", forms


def program(extended: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the extended program's command line."""
    return subprocess.run(
        (sys.executable, "-m", "app", *arguments),
        cwd=extended,
        env={"PATH": os.environ["PATH"], "HOME": str(extended), "PYTHONPATH": str(extended)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def config(extended: Path, badge: dict[str, str], token_endpoint: str = "http://127.0.0.1:9/token") -> str:
    """Write a configuration with the new method, and return its path."""
    path = extended / "config.json"
    profile = {
        "identity": {
            "type": "idaas",
            "idaasInstanceId": "idaas_example",
            "clientId": "app_abc",
            "issuer": "http://127.0.0.1:9/oidc",
            "tokenEndpoint": token_endpoint,
            "scope": "sts.aliyuncs.com|.all",
            "authnConfiguration": {"authnMethod": "BADGE", **badge},
        },
        "exchange": {
            "type": "sts",
            "roleArn": "acs:ram::123456789012:role/app",
            "oidcProviderArn": "acs:ram::123456789012:oidc-provider/idaas",
            "endpoints": ["http://127.0.0.1:9"],
        },
    }
    path.write_text(json.dumps({"configVersion": "1.0", "profiles": {"default": profile}}))
    return str(path)


def test_one_module_and_one_row_make_a_method(
    extended: Path, token_endpoint: tuple[str, list[dict[str, list[str]]]]
) -> None:
    """The method is in the JSON Schema, its file is read, and its proof reaches the token endpoint."""
    url, forms = token_endpoint
    badge = extended / "badge"
    badge.write_text("badge-of-tests")
    schema = program(extended, "config", "--schema").stdout
    checked = program(extended, "config", "--config", config(extended, {"badgeFile": str(badge)}, url))
    got = program(extended, "get", "--config", str(extended / "config.json"))

    assert '"BADGE"' in schema
    assert '"badgeFile"' in schema
    assert checked.returncode == 0, checked.stderr
    assert forms[0]["badge"] == ["badge-of-tests"]
    assert forms[0]["client_id"] == ["app_abc"]
    assert got.returncode != 0
    assert "invalid_client" in got.stderr
    assert "badge-of-tests" not in got.stdout + got.stderr


@pytest.mark.parametrize(
    ("badge", "message"),
    [({}, "badgeFile"), ({"badgeFile": "/nonexistent/badge"}, "/nonexistent/badge")],
    ids=["missing key", "missing file"],
)
def test_mistakes_in_its_keys_are_reported(extended: Path, badge: dict[str, str], message: str) -> None:
    """A missing key and a missing file are found before the program starts, and are reported with their place."""
    checked = program(extended, "config", "--config", config(extended, badge))

    assert checked.returncode != 0
    assert "profiles.default.identity.authnConfiguration" in checked.stderr
    assert message in checked.stderr
