"""The emulated STS: one door for its actions, with the cloud's RPC conventions."""

import json
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from ..http.request import Asked
from ..http.response import Answer, RefusedError, request_id
from .quota import Quota

VERSION = "2015-04-01"
HOST_ID = "sts.aliyuncs.com"

# Throttling is 400 like the rest: clients must look at the code, and one that waits for a 429 gives itself
# away.
_STATUS = {
    "InvalidAction.NotFound": 404,
    "EntityNotExist.Role": 404,
    "UnsupportedHTTPMethod": 405,
    "InternalError": 500,
    "ServiceUnavailable": 503,
}

Action = Callable[[Asked, Mapping[str, str]], dict[str, Any]]


class Sts:
    """
    Answers for STS. Parameters may be in the query, the form or both.

    Without `Format=JSON` the answer is XML, as the real one's is.
    """

    def __init__(self, actions: Mapping[str, Action], random: Callable[[int], bytes]) -> None:
        self._random = random
        self._quota = Quota()
        self._actions = actions

    def answer(self, asked: Asked) -> Answer:
        """What the action says. Raises `RefusedError`."""
        fields = {**asked.query, **asked.form, **_in_headers(asked)}
        action = self._actions.get(fields.get("Action", ""))
        if action is None:
            raise RefusedError(
                "InvalidAction.NotFound", "Specified api is not found, please check your url and method."
            )
        if fields.get("Version") != VERSION:
            raise RefusedError("InvalidVersion", "Specified parameter Version is not valid.")
        self._check_quota(asked, fields)
        document = {"RequestId": request_id(self._random(16)), **action(asked, fields)}
        return _rendered(asked, f"{fields['Action']}Response", document, 200, "ok")

    def refuse(self, asked: Asked, refused: RefusedError) -> Answer:
        """A cloud error, in PascalCase."""
        document = {
            "RequestId": request_id(self._random(16)),
            "HostId": HOST_ID,
            "Code": refused.code,
            "Message": refused.message,
            "Recommend": f"https://api.aliyun.com/troubleshoot?q={refused.code}&product=Sts",
        }
        return _rendered(asked, "Error", document, refused.status or _status(refused.code), refused.code)

    def _check_quota(self, asked: Asked, fields: Mapping[str, str]) -> None:
        account = fields.get("RoleArn", "").removeprefix("acs:ram::").partition(":")[0]
        if self._quota.exceeded(account, limit=asked.world.calls_per_second, now=asked.at):
            raise RefusedError("Throttling.User", "Request was denied due to user flow control.")


def _in_headers(asked: Asked) -> dict[str, str]:
    """What an ACS3 call says in headers instead of parameters."""
    names = {"Action": "x-acs-action", "Version": "x-acs-version"}
    return {name: asked.headers[header] for name, header in names.items() if header in asked.headers}


def _status(code: str) -> int:
    return 401 if code.startswith("AuthenticationFail.") else _STATUS.get(code, 400)


def _rendered(asked: Asked, root: str, document: Mapping[str, Any], status: int, outcome: str) -> Answer:
    accepted = "JSON" if "json" in asked.headers.get("accept", "") and "x-acs-action" in asked.headers else "XML"
    wanted = asked.form.get("Format", asked.query.get("Format", accepted))
    if wanted.upper() == "JSON":
        return Answer(status, json.dumps(document).encode(), outcome, "application/json;charset=utf-8")
    text = f'<?xml version="1.0" encoding="UTF-8"?><{root}>{_xml(document)}</{root}>'
    return Answer(status, text.encode(), outcome, "text/xml;charset=utf-8")


def _xml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "".join(f"<{name}>{_xml(item)}</{name}>" for name, item in value.items())
    return escape(str(value), quote=False)
