"""
Scope values of a token request.

A scope is a list of `audience|value` items with a single audience. The value `.all` requests everything granted there.
"""

import re

from ..http.response import RefusedError
from ..world.world import World

_ITEM = re.compile(r"([^|\s]+)\|([^|\s]+)")


def grant_scopes(scope: str, client_id: str, world: World) -> tuple[str, tuple[str, ...]]:
    """Return the audience and the values that `scope` requests. Raises `RefusedError` if they are not granted."""
    audience, requested = _parse(scope)
    if audience not in world.resource_servers:
        raise RefusedError("scope_not_found", f"No resource server has the audience {audience}.")
    granted = world.clients[client_id].grants.get(audience, ())
    if not granted:
        raise RefusedError("access_denied", f"{client_id} has not been authorized by resource server {audience}.")
    if ".all" in requested:
        return audience, granted
    _check_granted(requested, granted, world.resource_servers[audience].scopes)
    return audience, requested


def _parse(scope: str) -> tuple[str, tuple[str, ...]]:
    items = [_ITEM.fullmatch(item) for item in scope.split()]
    pairs = [item.groups() for item in items if item]
    if not pairs or len(pairs) < len(items):
        raise RefusedError("invalid_scope", "Each scope must be written audience|value.")
    if len({audience for audience, _ in pairs}) > 1:
        raise RefusedError("invalid_scope", "All scopes must be of one audience.")
    return pairs[0][0], tuple(dict.fromkeys(value for _, value in pairs))


def _check_granted(requested: tuple[str, ...], granted: tuple[str, ...], existing: tuple[str, ...]) -> None:
    for value in requested:
        if value not in existing:
            raise RefusedError("scope_not_found", f"Scope {value} does not exist.")
        if value not in granted:
            raise RefusedError("access_denied", f"Scope {value} has not been granted.")
