"""One endpoint of the emulated cloud: its methods, its handler and the format of its errors."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from .faults import injected_response
from .request import Request
from .response import RefusedError, Response


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    An endpoint. `kind` is its name in faults and in the journal.

    `handler` returns the response or raises `RefusedError`. `error_response` formats that error as the service does.
    """

    kind: str
    methods: tuple[str, ...]
    handler: Callable[[Request], Response]
    error_response: Callable[[Request, RefusedError], Response]

    def respond(self, request: Request) -> Response:
        """Return the response to `request`, changed by its fault. Raises `DroppedError`."""
        try:
            response = injected_response(request.fault, self.kind) or self._handle(request)
        except RefusedError as error:
            response = self.error_response(request, error)
        return replace(response, headers={**response.headers, **request.fault.headers})

    def _handle(self, request: Request) -> Response:
        if request.method not in self.methods:
            raise RefusedError("UnsupportedHTTPMethod", f"Use {' or '.join(self.methods)}.", 405)
        return self.handler(request)
