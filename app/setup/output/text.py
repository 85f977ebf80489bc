"""A plan as text to read, with the fields in the order of the RAM console."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...core.json_text import json_text
from ...core.text import one_line, printable
from ..plan import OidcProvider, Plan, Role


def render(plan: Plan) -> str:
    """Return the text."""
    blocks = [
        *(_provider(each) for each in plan.providers),
        *(_document(f"Custom policy {each.name}", each.document) for each in plan.policies),
        *(_role(each) for each in plan.roles),
    ]
    numbered = [f"{number}. {block}" for number, block in enumerate(blocks, 1)]
    if plan.configuration is not None:
        numbered.append(_document("Configuration of the sidecar (config.json)", plan.configuration))
    if plan.notes:
        numbered.append("\n".join(("Notes", *(f"  - {one_line(note)}" for note in plan.notes))))
    return printable("\n\n".join(("Create in RAM:", *numbered))) + "\n"


def _provider(each: OidcProvider) -> str:
    rows = {
        "Name": each.name,
        "Issuer URL": each.issuer,
        "Fingerprints": ", ".join(each.fingerprints),
        "Client IDs": ", ".join(each.client_ids),
        "Earliest issuance": f"{each.issuance_hours} hours",
    }
    return "\n".join((f"OIDC provider {each.arn}", *_rows(rows)))


def _role(each: Role) -> str:
    rows = {
        "Maximum session": f"{each.max_session_seconds} seconds",
        "System policies": ", ".join(each.system_policies) or "none",
        "Custom policies": ", ".join(each.custom_policies) or "none",
    }
    trust = _document("   Trust policy:", each.trust_policy)
    return "\n".join((f"Role {each.arn}", *_rows(rows), trust))


def _rows(rows: dict[str, str]) -> Iterator[str]:
    yield from (f"   {name + ':':<19}{value}" for name, value in rows.items())


def _document(title: str, document: Any) -> str:
    text = json_text(document, indent=2)
    return "\n".join((title, *(f"   {line}" for line in text.splitlines())))
