"""The table "If it fails" of each page: a mistake in the reader's world makes `doctor` show the code of the row."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ..e2e.cloud import emulator_admin
from ..e2e.processes import EmulatedCloud, emulator
from ..e2e.users import needs_root
from ..setup.ram import world as world_of
from .page import DOCS, PAGES, steps
from .terminal import Terminal
from .test_pages import NEEDS_ROOT, UNIT
from .world import Places, reader, world

ACCOUNT = "acs:ram::1234567890123456"
Change = Callable[[dict[str, Any], dict[str, Any]], object] | str
"""Changes the world and the profile of the configuration, or is an option of `doctor`."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A page whose commands were run up to `doctor`. `config`: the file that `doctor` reads."""

    cloud: EmulatedCloud
    terminal: Terminal
    places: Places
    config: Path | None
    doctor: str
    world: str


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[needs_root] if name in NEEDS_ROOT else []) for name in PAGES],
)
def prepared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Prepared]]:
    """Each page, run up to `doctor`."""
    root = tmp_path_factory.mktemp("page")
    with ExitStack() as stack:
        cloud = stack.enter_context(emulator(home=tmp_path_factory.mktemp("cloud")))
        original = json.loads(world(cloud.issuer).to_json())
        emulator_admin(cloud.url, "PUT", "world", original)
        places = Places.of(cloud, root)
        (root / "work").mkdir()
        shutil.copy(UNIT, root / "work")
        terminal = stack.enter_context(Terminal(reader(cloud, places, root), root / "work"))
        for step in steps((DOCS / "start" / request.param).read_text()):
            text = places.here(step.text)
            *before_it, last = text.splitlines()
            if step.kind == "run" and re.search(r"\bdoctor\b", last):
                terminal.run("\n".join([":", *before_it]))
                break
            if step.kind == "file":
                (root / "work" / step.name).write_text(text)
            elif step.kind == "run":
                terminal.run(text)
        # Secrets are masked in the world that the emulator shows.
        after = original | {name: world_of(cloud.url)[name] for name in ("oidcProviders", "roles")}
        installed = (root / "etc/idaas-sidecar/config.json", root / "work/config.json")
        config = next((path for path in installed if path.exists()), None)
        yield request.param, Prepared(cloud, terminal, places, config, last, json.dumps(after))


def client(name: str, **members: Any) -> Change:
    """Change a client."""
    return lambda world, _: world["clients"][name].update(members)


def provider(name: str, **members: Any) -> Change:
    """Change an OIDC provider."""
    return lambda world, _: world["oidcProviders"][f"{ACCOUNT}:oidc-provider/{name}"].update(members)


def subject(role: str) -> Change:
    """Let the role trust another subject."""

    def change(world: dict[str, Any], _: dict[str, Any]) -> None:
        (statement,) = world["roles"][f"{ACCOUNT}:role/{role}"]["trustPolicy"]["Statement"]
        statement["Condition"]["StringEquals"]["oidc:sub"] = ["another"]

    return change


def other_secret_file(_: dict[str, Any], profile: dict[str, Any]) -> None:
    """Let the configuration name another file than the one that holds the secret."""
    method = profile["identity"]["authnConfiguration"]
    method["clientSecretFile"] += "-of-another-name"


WRONG_SECRET = [{"value": "another"}]
PAM = "urn:cloud:idaas:pam"
SCOPE = ["cloud_account_role:obtain_access_credential"]
MANAGED = f"{ACCOUNT}:role/managed"

FAILURES: dict[str, dict[str, Change]] = {
    "idaas.md": {
        "IDS-301": client("app_example", secrets=WRONG_SECRET),
        "IDS-311": client("app_example", grants={PAM: SCOPE}),
        "IDS-402": lambda world, _: world["oidcProviders"].clear(),
        "IDS-404": provider("idaas", clientIds=["another"]),
        "IDS-401": subject("orders"),
    },
    "okta.md": {
        "IDS-301": client("0oa1example", secrets=WRONG_SECRET),
        "IDS-302": lambda _, profile: profile["identity"].update(scope="openid"),
        "IDS-404": provider("okta", clientIds=["another"]),
        "IDS-401": subject("orders"),
    },
    "managed-role.md": {
        "IDS-301": client("app_example", secrets=WRONG_SECRET),
        "IDS-311": client("app_example", grants={"api.example.com": ["read"]}),
        "IDS-427 by the scope": lambda _, profile: profile["identity"].update(scope="api.example.com|.all"),
        "IDS-427 by the role": lambda world, _: world["managedRoles"][MANAGED].update(clients=["another"]),
        "IDS-423": lambda world, _: world["managedRoles"].clear(),
        "IDS-425": lambda world, _: world["managedRoles"][MANAGED].update(broken=True),
    },
    "virtual-machine.md": {
        "IDS-507 by the rule": lambda _, profile: profile.update(callers={"uids": [2002]}),
        "IDS-507 by the user": "--uid 2002",
        "IDS-509": "--url http://127.0.0.1:7117/credentials",
        "IDS-124": other_secret_file,
        "IDS-301": client("app_example", secrets=WRONG_SECRET),
        "IDS-401": subject("alice"),
    },
    "kubernetes.md": {
        "IDS-405": provider("prod", issuerUrl="https://another.example/workload"),
        "IDS-404": provider("prod", clientIds=["another"]),
        "IDS-401": subject("orders"),
    },
}
"""The mistakes by page. The first word of a name is the code."""


def test_the_table_of_the_page(prepared: tuple[str, Prepared]) -> None:
    """Each mistake shows its code, which has a row on the page; without a mistake there is none."""
    name, page = prepared
    config = page.config.read_text() if page.config else ""
    page_text = (DOCS / "start" / name).read_text()
    shown = {}
    for code, change in {"": lambda *_: None, **FAILURES[name]}.items():
        broken, settings = json.loads(page.world), json.loads(config or "{}")
        option = page.places.here(change) if isinstance(change, str) else ""
        if not isinstance(change, str):
            change(broken, next(iter(settings.get("profiles", {}).values()), {}))
        emulator_admin(page.cloud.url, "PUT", "world", broken)
        if page.config:
            page.config.write_text(json.dumps(settings))
        shown[code] = {*re.findall(r"IDS-\d+", "\n".join(page.terminal.run(f"{page.doctor} {option} || true")))}

    assert shown.pop("") == set()
    assert {code: found for code, found in shown.items() if code.split()[0] not in found} == {}
    assert [code for code in shown if f"[{code.split()[0]}](" not in page_text] == []
