"""docs/: the program accepts every JSON block, and every setting is documented."""

from __future__ import annotations

import json
import re
import sys
import time
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, get_args

import httpx
import pytest

from app.config.loader import Loaded, load
from app.conformance.models.ecs_clients import ECS_CLIENTS
from app.conformance.models.uri_clients import URI_CLIENTS
from app.core.client_chain import CREDENTIALS_URI, OTHER_SOURCES_DISABLED
from app.doctor import steps as doctor_steps
from app.emulator import Emulator
from app.emulator.crypto.pki import Authority
from app.exchange.settings import ExchangeSettings
from app.identity.identities import Identity
from app.identity.methods import IDAAS_METHODS, OAUTH_METHODS

UNUSABLE_BY_URI = ("credentials-csharp", "credentials-cpp", "credentials-swift")
"""Clients that cannot use the URI of any server, so docs/clients.md has no margin for them."""

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```json\n(.*?)^```$", re.DOTALL | re.MULTILINE)
IDAAS_APPLICATION = {
    "idaasInstanceId": "idaas_example",
    "clientId": "app_example",
    "issuer": "https://example.aliyunidaas.com/api/v2/iauths_system/oauth2",
    "tokenEndpoint": "https://example.aliyunidaas.com/api/v2/iauths_system/oauth2/token",
    "authnConfiguration": {"authnMethod": "CLIENT_SECRET_POST", "clientSecretEnvVarName": "IDAAS_CLIENT_SECRET"},
}
STS_EXCHANGE = {
    "roleArn": "acs:ram::1234567890123456:role/app",
    "oidcProviderArn": "acs:ram::1234567890123456:oidc-provider/idaas",
}


def blocks(page: str) -> list[dict[str, Any]]:
    """Return the JSON blocks of a page."""
    found = BLOCK.findall((DOCS / page).read_text())
    assert found
    return [json.loads(text) for text in found]


IDENTITIES, EXCHANGES = blocks("identities.md"), blocks("exchanges.md")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home directory with the files that the blocks name."""
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
    (sdk / "client-config.json").write_text(json.dumps(IDAAS_APPLICATION | {"scope": "api.example.com|.all"}))
    return tmp_path


def load_profile(home: Path, profile: dict[str, Any]) -> Loaded:
    """Load the profile as the program does, with `home` in place of /run/secrets."""
    return load_members(home, {"profiles": {"default": profile}})


def load_members(home: Path, members: dict[str, Any]) -> Loaded:
    """Load a file with these members."""
    config = {"configVersion": "1.0"} | members
    path = home / "config.json"
    path.write_text(json.dumps(config).replace("/run/secrets", str(home)))
    environ = {
        "HOME": str(home),
        "IDAAS_CLIENT_SECRET": "of-the-client",
        "OIDC_CLIENT_SECRET": "of-the-client",
        "ALIBABA_CLOUD_OIDC_TOKEN_FILE": str(home / "token"),
        "TOKEN_COMMAND": sys.executable,
        "JOB_TOKEN": "of-the-job",
    }
    return load(str(path), environ, hostname="host-1", now=time.time)


@pytest.mark.parametrize("block", IDENTITIES, ids=lambda block: str(block)[:40])
def test_identity_block_loads(block: dict[str, Any], home: Path) -> None:
    """Each identity of the page loads together with an STS exchange."""
    assert load_profile(home, {"identity": block, "exchange": STS_EXCHANGE}).settings


@pytest.mark.parametrize("block", [*blocks("configuration.md"), *blocks("operations.md")], ids=str)
def test_part_of_a_file_loads(block: dict[str, Any], home: Path) -> None:
    """Each part of a file on these pages loads, completed by a profile where it has none."""
    (home / "cache-key").write_text("ab" * 32)
    profile = {"identity": {"type": "tokenFile", "tokenFile": "/run/secrets/oidc-token"}, "exchange": STS_EXCHANGE}

    assert load_members(home, {"profiles": {"default": profile}} | block).settings


@pytest.mark.parametrize("block", EXCHANGES, ids=lambda block: str(block)[:40])
def test_exchange_block_loads(block: dict[str, Any], home: Path) -> None:
    """Each exchange of the page loads together with an application of IDaaS."""
    managed = block["exchange"].get("type") == "developerApi"
    identity = IDAAS_APPLICATION | ({} if managed else {"scope": "api.example.com|.all"})

    loaded = load_profile(home, {"identity": identity, **block})

    assert loaded.settings.profiles["default"].exchange.role_arn == block["exchange"]["roleArn"]


def tags(union: Any) -> set[str]:
    """Return the type names of a union."""
    return {kind.__struct_config__.tag for kind in get_args(union)}


def test_every_type_and_method_has_a_block() -> None:
    """Every type and method of an identity, and every type of an exchange, has a block."""
    methods = {block.get("authnConfiguration", {}).get("authnMethod") for block in IDENTITIES}
    client_methods = {block.get("clientAuthentication", {}).get("method") for block in IDENTITIES}

    assert {kind.__struct_config__.tag for kind in IDAAS_METHODS} == methods - {None}
    assert {kind.__struct_config__.tag for kind in OAUTH_METHODS} == client_methods - {None}
    assert {block.get("type", "idaas") for block in IDENTITIES} == tags(Identity)
    assert {block["exchange"].get("type", "sts") for block in EXCHANGES} == tags(ExchangeSettings)


ROOMS = {
    path.stem
    for path in (DOCS.parent / "app").iterdir()
    if (path.suffix == ".py" and path.stem not in ("__init__", "__main__")) or (path / "__init__.py").exists()
}
"""The packages and modules of the program."""


def test_every_package_is_described() -> None:
    """ARCHITECTURE.md has each package and root module in its diagram, and CONTRIBUTING.md in its table of folders."""
    architecture, contributing = ((DOCS.parent / name).read_text() for name in ("ARCHITECTURE.md", "CONTRIBUTING.md"))
    diagram = architecture.partition("```text\n")[2].partition("```")[0]
    drawn = {word for line in diagram.splitlines() for word in re.split(r" {2,}", line)[0].split(" | ")}

    assert drawn == ROOMS
    assert set(re.findall(r"`app/(\w+)(?:/|\.py)`", contributing)) >= ROOMS


def test_every_step_of_doctor_is_described() -> None:
    """docs/doctor.md has a row for each step."""
    steps = {import_module(f"app.doctor.steps.{each.name}").NAME for each in iter_modules(doctor_steps.__path__)}
    table = (DOCS / "doctor.md").read_text().partition("| step | examines |\n")[2].partition("\n\n")[0]

    assert set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)) == steps


@pytest.mark.parametrize(
    "page",
    ["identities.md", "exchanges.md", "configuration.md", "operations.md", "monitoring.md", "runbook.md", "install.md"],
)
def test_links_have_a_target(page: str) -> None:
    """Every link within the pages leads to an existing heading or page."""
    text = (DOCS / page).read_text()
    headings = {anchor(line.lstrip("# ")) for line in text.splitlines() if line.startswith("#")}

    for target in re.findall(r"\]\(([^)]+)\)", text):
        file, _, fragment = target.partition("#")
        assert (DOCS / file).exists() if file else fragment in headings, target


def anchor(heading: str) -> str:
    """Return the anchor that code hosts make of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_client_has_its_row() -> None:
    """docs/clients.md has a row with the name of each modelled client, in the table of its protocol."""
    by_uri, by_ecs = (DOCS / "clients.md").read_text().split("## Connect a client by ECS metadata")
    rows = [set(re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)) for text in (by_uri, by_ecs)]

    assert {client.name for client in URI_CLIENTS} - rows[0] == set()
    assert {client.name for client in ECS_CLIENTS} - rows[1] == set()


def test_margins_equal_those_of_the_models() -> None:
    """The refresh margins in docs/clients.md equal those of the models."""
    by_uri, by_ecs = (DOCS / "clients.md").read_text().split("## Connect a client by ECS metadata")
    for text, clients in ((by_uri, URI_CLIENTS), (by_ecs, ECS_CLIENTS)):
        documented = dict(re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \| at ([0-9]+) s left", text, re.MULTILINE))
        known = {item.name: item.refresh.margin for item in clients if item.refresh and item.refresh.margin > 0}
        wanted = {name: margin for name, margin in known.items() if text is by_ecs or name not in UNUSABLE_BY_URI}
        assert {name: float(documented.get(name, 0)) for name in wanted} == wanted


def test_page_disables_what_env_disables() -> None:
    """The variables that docs/clients.md sets are those that `env` prints."""
    text = (DOCS / "clients.md").read_text().partition("## Connect a client by ECS metadata")[0]
    exported = dict(re.findall(r"^export (\w+)=(.*)$", text, re.MULTILINE))

    assert exported == {CREDENTIALS_URI: "http://127.0.0.1:7117/credentials", **OTHER_SOURCES_DISABLED}


EMULATOR = (DOCS / "emulator.md").read_text()


async def test_emulator_page_matches_the_emulator(emulator: Emulator) -> None:
    """The emulator accepts each fault of docs/emulator.md, and the page has all of its paths."""
    faults = re.findall(r"faults -d '(.+?)'", EMULATOR)
    paths = re.findall(r"^\| `(/_emulator/\w+)` \|", EMULATOR, re.MULTILINE)
    transport = httpx.ASGITransport(emulator)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        taken = [(await http.post("/_emulator/faults", content=fault)).status_code for fault in faults]
        known = (await http.get("/_emulator/nothing")).json()["error"]

    assert taken == [200] * 8
    assert {path for path in paths} == set(re.findall(r"/_emulator/\w+", known))
