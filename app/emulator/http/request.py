"""What reaches an endpoint: a value, without sockets or a framework."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..world.world import World
from .faults import Fault


@dataclass(frozen=True, slots=True)
class Asked:
    """
    One request, the world it meets and the moment it does.

    `url` is as the client addressed it, without the query. `repeated` names the form fields that came more
    than once; `form` holds the last of each.
    """

    world: World
    at: float
    fault: Fault
    method: str
    url: str
    query: Mapping[str, str] = field(repr=False)
    form: Mapping[str, str] = field(repr=False)
    repeated: frozenset[str]
    body: bytes = field(repr=False)
    certificate: str | None
    """Common name of the client certificate that TLS verified."""
    headers: Mapping[str, str] = field(repr=False)
