"""Conversion between ASGI and the emulator's requests and responses."""

from collections import Counter
from email.utils import formatdate
from urllib.parse import parse_qsl

from starlette.requests import Request as StarletteRequest
from starlette.responses import Response as StarletteResponse
from starlette.types import Receive, Send

from ..world.world import World
from .faults import Fault
from .request import Request
from .response import MARKER_HEADER, Response

CLIENT_CERTIFICATE_NAME = "client_certificate_name"
"""The key in the scope's state for the common name of the client certificate that TLS verified."""


async def read_request(incoming: StarletteRequest, *, world: World, now: float, fault: Fault) -> Request:
    """Return the request with its whole body. Form fields are read from a body of the form content type alone."""
    body = await incoming.body()
    form = await _form(incoming)
    counts = Counter(name for name, _ in form)
    return Request(
        world=world,
        now=now,
        fault=fault,
        method=incoming.method,
        url=str(incoming.url.replace(query="")),
        query_string=incoming.url.query,
        query=dict(parse_qsl(incoming.url.query, keep_blank_values=True)),
        form=dict(form),
        repeated_fields=frozenset(name for name, count in counts.items() if count > 1),
        body=body,
        headers=dict(incoming.headers),
        client_certificate_name=incoming.scope.get("state", {}).get(CLIENT_CERTIFICATE_NAME),
    )


async def rpc_action(incoming: StarletteRequest) -> str | None:
    """Return the action of an OpenAPI request: from the header, the query or the form."""
    action = incoming.headers.get("x-acs-action") or incoming.query_params.get("Action")
    return action or dict(await _form(incoming)).get("Action")


async def _form(incoming: StarletteRequest) -> list[tuple[str, str]]:
    is_form = incoming.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    body = await incoming.body() if is_form else b""
    return parse_qsl(body.decode(errors="replace"), keep_blank_values=True)


def to_starlette(response: Response, now: float) -> StarletteResponse:
    """Return the response with the emulator's marker, dated `now` (Unix seconds)."""
    # The date comes from the emulator's clock, because clients synchronise their clock with it.
    headers = {MARKER_HEADER: "1", "Date": formatdate(now, usegmt=True), "Content-Type": response.content_type}
    return StarletteResponse(response.body, response.status, {**headers, **response.headers})


async def handle_lifespan(receive: Receive, send: Send) -> None:
    """Acknowledge the lifespan events of an ASGI server until it shuts down."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
