"""A plan as one JSON document."""

from __future__ import annotations

from typing import Any

from ...core.json_text import json_text
from ..plan import Plan, Role


def render(plan: Plan) -> str:
    """Return the document. RAM's own documents in it keep RAM's keys."""
    document: dict[str, Any] = {
        "oidcProviders": [
            {
                "arn": each.arn,
                "name": each.name,
                "issuerUrl": each.issuer,
                "clientIds": list(each.client_ids),
                "fingerprints": list(each.fingerprints),
                "issuanceLimitHours": each.issuance_hours,
            }
            for each in plan.providers
        ],
        "policies": [{"account": each.account, "name": each.name, "document": each.document} for each in plan.policies],
        "roles": [_role(each) for each in plan.roles],
        "configuration": plan.configuration,
        "notes": list(plan.notes),
    }
    return json_text(document, indent=2) + "\n"


def _role(role: Role) -> dict[str, Any]:
    return {
        "arn": role.arn,
        "name": role.name,
        "trustPolicy": role.trust_policy,
        "maxSessionDuration": role.max_session_seconds,
        "systemPolicies": list(role.system_policies),
        "customPolicies": list(role.custom_policies),
    }
