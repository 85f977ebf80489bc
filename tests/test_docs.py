"""docs/: every block of JSON is read by the program, and nothing that can be configured is left out."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from app.config.loader import Loaded, load
from app.conformance.models.ecs_clients import ECS_CLIENTS
from app.conformance.models.uri_clients import URI_CLIENTS
from app.emulator import Emulator
from app.emulator.crypto.pki import Authority
from app.exchange.settings import ExchangeSettings
from app.identity.identities import Identity
from app.identity.methods import IDAAS_METHODS, OAUTH_METHODS

UNABLE = ("credentials-csharp", "credentials-cpp", "credentials-swift")
"""By URI, with any server."""

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```json\n(.*?)^```$", re.DOTALL | re.MULTILINE)
APPLICATION = {
    "idaasInstanceId": "idaas_example",
    "clientId": "app_example",
    "issuer": "https://example.aliyunidaas.com/api/v2/iauths_system/oauth2",
    "tokenEndpoint": "https://example.aliyunidaas.com/api/v2/iauths_system/oauth2/token",
    "authnConfiguration": {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "IDAAS_CLIENT_SECRET"},
}
EXCHANGE = {
    "roleArn": "acs:ram::1234567890123456:role/app",
    "oidcProviderArn": "acs:ram::1234567890123456:oidc-provider/idaas",
}


def blocks(page: str) -> list[dict[str, Any]]:
    found = BLOCK.findall((DOCS / page).read_text())
    assert found
    return [json.loads(text) for text in found]


IDENTITIES, EXCHANGES = blocks("identities.md"), blocks("exchanges.md")


@pytest.fixture
def around(tmp_path: Path) -> Path:
    """The files that the blocks name, by their names."""
    issued = Authority("docs", time.time).issue("app_example")
    texts = {
        "idaas-client-secret": "of-the-client",
        "client-secret": "of-the-client",
        "idaas-key.pem": issued.key_pem,
        "tls.key": issued.key_pem,
        "tls.crt": issued.leaf_pem,
        "ca.crt": issued.chain_pem,
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    sdk = tmp_path / ".cloud_idaas"
    sdk.mkdir()
    (sdk / "client-config.json").write_text(json.dumps(APPLICATION | {"scope": "api.example.com|.all"}))
    return tmp_path


def read(around: Path, profile: dict[str, Any]) -> Loaded:
    """The profile as the program reads it, its files of /run/secrets taken from `around`."""
    whole = {"configVersion": "1.0", "profiles": {"default": profile}}
    path = around / "config.json"
    path.write_text(json.dumps(whole).replace("/run/secrets", str(around)))
    environ = {
        "HOME": str(around),
        "IDAAS_CLIENT_SECRET": "of-the-client",
        "OIDC_CLIENT_SECRET": "of-the-client",
        "ALIBABA_CLOUD_OIDC_TOKEN_FILE": str(around / "token"),
        "TOKEN_COMMAND": sys.executable,
    }
    return load(str(path), environ, hostname="host-1", now=time.time)


@pytest.mark.parametrize("block", IDENTITIES, ids=lambda block: str(block)[:40])
def test_identities(block: dict[str, Any], around: Path) -> None:
    """Each identity of the page works with STS as it stands there."""
    assert read(around, {"identity": block, "exchange": EXCHANGE}).settings


@pytest.mark.parametrize("block", EXCHANGES, ids=lambda block: str(block)[:40])
def test_exchanges(block: dict[str, Any], around: Path) -> None:
    """Each exchange of the page works with an application of IDaaS."""
    managed = block["exchange"].get("type") == "developerApi"
    identity = APPLICATION | ({} if managed else {"scope": "api.example.com|.all"})

    loaded = read(around, {"identity": identity, **block})

    assert loaded.settings.profiles["default"].exchange.role_arn == block["exchange"]["roleArn"]


def tags(union: Any) -> set[str]:
    return {kind.__struct_config__.tag for kind in get_args(union)}


def test_nothing_is_left_out() -> None:
    """Every type, method and key of an exchange has its block."""
    methods = {block.get("authnConfiguration", {}).get("authnMethod") for block in IDENTITIES}
    client_methods = {block.get("clientAuthentication", {}).get("method") for block in IDENTITIES}

    assert {kind.__struct_config__.tag for kind in IDAAS_METHODS} == methods - {None}
    assert {kind.__struct_config__.tag for kind in OAUTH_METHODS} == client_methods - {None}
    assert {block.get("type", "idaas") for block in IDENTITIES} == tags(Identity)
    assert {block["exchange"].get("type", "sts") for block in EXCHANGES} == tags(ExchangeSettings)


@pytest.mark.parametrize("page", ["identities.md", "exchanges.md"])
def test_links(page: str) -> None:
    """Every link within the pages leads to a heading or a page that is there."""
    text = (DOCS / page).read_text()
    headings = {anchor(line.lstrip("# ")) for line in text.splitlines() if line.startswith("#")}

    for target in re.findall(r"\]\(([^)]+)\)", text):
        file, _, place = target.partition("#")
        assert (DOCS / file).exists() if file else place in headings, target


def anchor(heading: str) -> str:
    """A heading's anchor as code hosts make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_client_has_its_row() -> None:
    """docs/clients.md has a row for each modelled client, under its name, in the table of its protocol."""
    by_uri, by_ecs = (DOCS / "clients.md").read_text().split("## Connect a client by ECS metadata")
    rows = [set(re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)) for text in (by_uri, by_ecs)]

    assert {client.name for client in URI_CLIENTS} - rows[0] == set()
    assert {client.name for client in ECS_CLIENTS} - rows[1] == set()


def test_margins_are_the_models() -> None:
    """The refresh margins in docs/clients.md are those of the models."""
    by_uri, by_ecs = (DOCS / "clients.md").read_text().split("## Connect a client by ECS metadata")
    for text, clients in ((by_uri, URI_CLIENTS), (by_ecs, ECS_CLIENTS)):
        said = dict(re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \| at ([0-9]+) s left", text, re.MULTILINE))
        known = {item.name: item.refresh.margin for item in clients if item.refresh and item.refresh.margin > 0}
        wanted = {name: margin for name, margin in known.items() if text is by_ecs or name not in UNABLE}
        assert {name: float(said.get(name, 0)) for name in wanted} == wanted


EMULATOR = (DOCS / "emulator.md").read_text()


async def test_what_the_emulator_is_told(emulator: Emulator) -> None:
    """Each fault of the page is taken, and each path of its table is there."""
    faults = re.findall(r"faults -d '(.+?)'", EMULATOR)
    paths = re.findall(r"^\| `(/_emulator/\w+)` \|", EMULATOR, re.MULTILINE)
    transport = httpx.ASGITransport(emulator)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        taken = [(await http.post("/_emulator/faults", content=fault)).status_code for fault in faults]
        known = (await http.get("/_emulator/nothing")).json()["error"]

    assert taken == [200] * 6
    assert {path for path in paths} == set(re.findall(r"/_emulator/\w+", known))
