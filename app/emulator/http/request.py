"""A request to the emulator, as a value without sockets or a framework."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ..world.world import World
from .faults import Fault


@dataclass(frozen=True, slots=True)
class Request:
    """
    One request, with the world that it is verified against.

    `now` is the emulator's clock at that moment, in Unix seconds. `url` is the URL as the client addressed it, without
    the query. `form` holds the last value of each field; `repeated_fields` names those that were sent more than once.
    `client_certificate_name` is the common name of the client certificate that TLS verified, if there is one. The
    keys of `headers` are in lower case.
    """

    world: World
    now: float
    fault: Fault
    method: str
    url: str
    query_string: str = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    form: Mapping[str, str] = field(repr=False)
    repeated_fields: frozenset[str]
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    client_certificate_name: str | None

    @property
    def path(self) -> str:
        """The path of the URL."""
        return urlsplit(self.url).path

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of query and form together; those of the form take precedence."""
        return {**self.query, **self.form}
