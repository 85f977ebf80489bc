"""The parameters of an action of RAM."""

import json
from collections.abc import Mapping
from typing import Any

from ..http.response import RefusedError


def required(fields: Mapping[str, str], name: str) -> str:
    """Return a parameter. Raises `RefusedError` if it is missing or empty."""
    if not fields.get(name):
        raise RefusedError(f"Missing{name}", f"{name} is mandatory for this action.")
    return fields[name]


def whole_number(fields: Mapping[str, str], name: str, default: int) -> int:
    """Return a parameter as a number; `default` if it is missing. Raises `RefusedError`."""
    text = fields.get(name)
    if text is None:
        return default
    try:
        return int(text)
    except ValueError:
        raise RefusedError(f"InvalidParameter.{name}", f"{name} must be a whole number.") from None


def policy(fields: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return a policy document. Raises `RefusedError` unless it is a JSON object with Version and Statement."""
    try:
        document = json.loads(required(fields, name))
    except ValueError:
        document = None
    if not isinstance(document, dict) or not {"Version", "Statement"} <= document.keys():
        raise RefusedError("MalformedPolicyDocument", f"{name} must be a JSON object with Version and Statement.")
    return document
