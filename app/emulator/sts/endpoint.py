"""The STS endpoint: dispatch to the actions, with the RPC conventions of Alibaba Cloud."""

import json
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from ..http.request import Request
from ..http.response import RefusedError, Response, request_id
from .quota import Quota

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

Action = Callable[[Request, Mapping[str, str]], dict[str, Any]]
"""Returns the members of the response except RequestId. Raises `RefusedError`."""


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
        fields = {**request.parameters, **_acs3_parameters(request)}
        action = self._actions.get(fields.get("Action", ""))
        if action is None:
            raise RefusedError(
                "InvalidAction.NotFound", "Specified api is not found, please check your url and method."
            )
        if fields.get("Version") != VERSION:
            raise RefusedError("InvalidVersion", "Specified parameter Version is not valid.")
        self._check_quota(request, fields)
        document = {"RequestId": request_id(self._random(16)), **action(request, fields)}
        return _render(request, f"{fields['Action']}Response", document, 200, "ok")

    def error_response(self, request: Request, error: RefusedError) -> Response:
        """Return an STS error, with PascalCase members."""
        document = {
            "RequestId": request_id(self._random(16)),
            "HostId": HOST_ID,
            "Code": error.code,
            "Message": error.message,
            "Recommend": f"https://api.aliyun.com/troubleshoot?q={error.code}&product=Sts",
        }
        return _render(request, "Error", document, error.status or _status(error.code), error.code)

    def _check_quota(self, request: Request, fields: Mapping[str, str]) -> None:
        account = fields.get("RoleArn", "").removeprefix("acs:ram::").partition(":")[0]
        if self._quota.exceeded(account, limit=request.world.calls_per_second, now=request.now):
            raise RefusedError("Throttling.User", "Request was denied due to user flow control.")


def _acs3_parameters(request: Request) -> dict[str, str]:
    """Return the parameters that an ACS3 request sends as headers."""
    names = {"Action": "x-acs-action", "Version": "x-acs-version"}
    return {name: request.headers[header] for name, header in names.items() if header in request.headers}


def _status(code: str) -> int:
    return 401 if code.startswith("AuthenticationFail.") else _STATUS.get(code, 400)


def _render(request: Request, root: str, document: Mapping[str, Any], status: int, outcome: str) -> Response:
    prefers_json = "json" in request.headers.get("accept", "") and "x-acs-action" in request.headers
    requested = request.parameters.get("Format", "JSON" if prefers_json else "XML")
    if requested.upper() == "JSON":
        return Response(status, json.dumps(document).encode(), outcome, "application/json;charset=utf-8")
    text = f'<?xml version="1.0" encoding="UTF-8"?><{root}>{_xml(document)}</{root}>'
    return Response(status, text.encode(), outcome, "text/xml;charset=utf-8")


def _xml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "".join(f"<{name}>{_xml(item)}</{name}>" for name, item in value.items())
    return escape(str(value), quote=False)
