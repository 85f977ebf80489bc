"""The RPC conventions of Alibaba Cloud's OpenAPI: parameters, and documents as JSON or XML."""

import json
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from ..http.request import Request
from ..http.response import Response

Action = Callable[[Request, Mapping[str, str]], dict[str, Any]]
"""Returns the members of the response except RequestId. Raises `RefusedError`."""


def rpc_parameters(request: Request) -> dict[str, str]:
    """Return the parameters of query and form, and those that an ACS3 request sends as headers."""
    names = {"Action": "x-acs-action", "Version": "x-acs-version"}
    sent = {name: request.headers[header] for name, header in names.items() if header in request.headers}
    return {**request.parameters, **sent}


def error_document(identifier: str, host_id: str, code: str, message: str, product: str) -> dict[str, str]:
    """Return the members of an error response. `identifier` is the request's id."""
    return {
        "RequestId": identifier,
        "HostId": host_id,
        "Code": code,
        "Message": message,
        "Recommend": f"https://api.aliyun.com/troubleshoot?q={code}&product={product}",
    }


def render(request: Request, root: str, document: Mapping[str, Any], status: int, outcome: str) -> Response:
    """Return `document` in the requested format: XML without `Format=JSON`, as the real services."""
    prefers_json = "json" in request.headers.get("accept", "") and "x-acs-action" in request.headers
    requested = request.parameters.get("Format", "JSON" if prefers_json else "XML")
    if requested.upper() == "JSON":
        return Response(status, json.dumps(document).encode(), outcome, "application/json;charset=utf-8")
    text = f'<?xml version="1.0" encoding="UTF-8"?><{root}>{_xml(document)}</{root}>'
    return Response(status, text.encode(), outcome, "text/xml;charset=utf-8")


def _xml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "".join(f"<{name}>{_items(name, item)}</{name}>" for name, item in value.items())
    return escape(str(value), quote=False)


def _items(name: str, value: Any) -> str:
    """Return the content of an element. A list has one element of the name in the singular for each item."""
    if isinstance(value, list | tuple):
        return "".join(f"<{name.removesuffix('s')}>{_xml(item)}</{name.removesuffix('s')}>" for item in value)
    return _xml(value)
