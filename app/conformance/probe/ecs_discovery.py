"""The first requests to a metadata service: the name of its role, and whether it requires tokens."""

from __future__ import annotations

from dataclasses import replace

from ..wire.header_text import fits_header
from ..wire.response import Outcome, Response
from .endpoint import EcsEndpoint


def discover(endpoint: EcsEndpoint) -> EcsEndpoint:
    """Return the endpoint with the name of its first role, and with a token if the server requires one."""
    without_token = endpoint.get_list()
    token = _token(endpoint.put_token())
    listing = endpoint if _succeeded(without_token) or token is None else replace(endpoint, token=token)
    found = replace(endpoint, role=_first_line(listing.get_list()) or endpoint.role)
    if token is None or _succeeded(found.get_role()):
        return found
    with_token = replace(found, token=token)
    return with_token if _succeeded(with_token.get_role()) else found


def _succeeded(outcome: Outcome) -> bool:
    return isinstance(outcome, Response) and outcome.status == 200


def _token(outcome: Outcome) -> str | None:
    """Return the token. None if there is none that fits a header."""
    if not isinstance(outcome, Response) or outcome.status != 200:
        return None
    token = outcome.body.decode("latin-1")
    return token if fits_header(token) else None


def _first_line(outcome: Outcome) -> str:
    """Return the first name of a role list. Empty if there is none that fits a request line."""
    if not isinstance(outcome, Response) or outcome.status != 200:
        return ""
    line = outcome.body.decode("latin-1").partition("\n")[0].strip()
    return line if fits_header(line) and len(line) <= 128 else ""
