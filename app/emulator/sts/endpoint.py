"""The STS endpoint: dispatch to the actions, with the RPC conventions of Alibaba Cloud."""

from collections.abc import Callable, Mapping

from ..http.request import Request
from ..http.response import RefusedError, Response, request_id
from .quota import Quota
from .rpc import Action, error_document, render, rpc_parameters

VERSION = "2015-04-01"
HOST_ID = "sts.aliyuncs.com"

# Throttling is 400 like most errors. Clients must read the code; a client that waits for a 429 is found out here.
_STATUS = {
    "InvalidAction.NotFound": 404,
    "EntityNotExist.Role": 404,
    "UnsupportedHTTPMethod": 405,
    "InternalError": 500,
    "ServiceUnavailable": 503,
}


class Sts:
    """
    The STS endpoint. Parameters may be in the query, in the form or in both.

    Without `Format=JSON` the response is XML, as that of the real STS.
    """

    def __init__(self, actions: Mapping[str, Action], random: Callable[[int], bytes]) -> None:
        self._actions = actions
        self._quota = Quota()
        self._random = random

    def respond(self, request: Request) -> Response:
        """Return the response of the requested action. Raises `RefusedError`."""
        fields = rpc_parameters(request)
        action = self._actions.get(fields.get("Action", ""))
        if action is None:
            raise RefusedError(
                "InvalidAction.NotFound", "Specified api is not found, please check your url and method."
            )
        if fields.get("Version") != VERSION:
            raise RefusedError("InvalidVersion", "Specified parameter Version is not valid.")
        self._check_quota(request, fields)
        document = {"RequestId": request_id(self._random(16)), **action(request, fields)}
        return render(request, f"{fields['Action']}Response", document, 200, "ok")

    def error_response(self, request: Request, error: RefusedError) -> Response:
        """Return an STS error, with PascalCase members."""
        document = error_document(request_id(self._random(16)), HOST_ID, error.code, error.message, "Sts")
        return render(request, "Error", document, error.status or _status(error.code), error.code)

    def _check_quota(self, request: Request, fields: Mapping[str, str]) -> None:
        account = fields.get("RoleArn", "").removeprefix("acs:ram::").partition(":")[0]
        if self._quota.exceeded(account, limit=request.world.calls_per_second, now=request.now):
            raise RefusedError("Throttling.User", "Request was denied due to user flow control.")


def _status(code: str) -> int:
    return 401 if code.startswith("AuthenticationFail.") else _STATUS.get(code, 400)
