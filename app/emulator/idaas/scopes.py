"""Which scope values a client gets: `audience|value` items, one audience, `.all` for everything granted there."""

import re

from ..http.response import RefusedError
from ..world.world import World

_ITEM = re.compile(r"([^|\s]+)\|([^|\s]+)")


def granted(scope: str, client_id: str, world: World) -> tuple[str, tuple[str, ...]]:
    """The audience and the values that `scope` asks for. Raises `RefusedError` if the client may not have them."""
    audience, wanted = _parsed(scope)
    if audience not in world.resource_servers:
        raise RefusedError("scope_not_found", f"No resource server has the audience {audience}.")
    own = world.clients[client_id].grants.get(audience, ())
    if not own:
        raise RefusedError("access_denied", f"{client_id} has not been authorized by resource server {audience}.")
    return audience, own if ".all" in wanted else _checked(wanted, own, world.resource_servers[audience].scopes)


def _parsed(scope: str) -> tuple[str, tuple[str, ...]]:
    items = [_ITEM.fullmatch(item) for item in scope.split()]
    pairs = [item.groups() for item in items if item]
    if not pairs or len(pairs) < len(items):
        raise RefusedError("invalid_scope", "Each scope must be written audience|value.")
    if len({audience for audience, _ in pairs}) > 1:
        raise RefusedError("invalid_scope", "All scopes must be of one audience.")
    return pairs[0][0], tuple(dict.fromkeys(value for _, value in pairs))


def _checked(wanted: tuple[str, ...], own: tuple[str, ...], existing: tuple[str, ...]) -> tuple[str, ...]:
    for value in wanted:
        if value not in existing:
            raise RefusedError("scope_not_found", f"Scope {value} does not exist.")
        if value not in own:
            raise RefusedError("access_denied", f"Scope {value} has not been granted.")
    return wanted
