"""One endpoint of the emulated cloud: its methods, its handler and the format of its errors."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import quote_plus

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
            if request.fault.quotes_request:
                message = f"{error.message} The request was: {quoted_request(request)}"
                error = RefusedError(error.code, message, error.status)
            response = self.error_response(request, error)
        return replace(response, headers={**response.headers, **request.fault.headers})

    def _handle(self, request: Request) -> Response:
        if request.method not in self.methods:
            raise RefusedError("UnsupportedHTTPMethod", f"Use {' or '.join(self.methods)}.", 405)
        return self.handler(request)


def quoted_request(request: Request) -> str:
    """Return the credentials that `request` sends: as they are, their beginnings, for a form, and as base64."""
    sent = {**request.headers, **request.form}
    values = [sent[name] for name in _CREDENTIALS if name in sent]
    encoded = [*map(quote_plus, values), *(b64encode(value.encode()).decode() for value in values)]
    return " ".join((*(value[:60] for value in values), *encoded, *values))


_CREDENTIALS = (
    *("x-acs-security-token", "client_secret", "client_assertion", "OIDCToken", "subject_token", "authorization"),
    "x-aliyun-ecs-metadata-token",
)
"""The fields and headers that carry a credential."""
