"""`GetCallerIdentity`: who signed a request. Every caller may ask, so it tests a client's credentials."""

from collections.abc import Mapping
from typing import Any

from ..crypto.replay_cache import ReplayCache
from ..http.request import Request
from .issued_sessions import IssuedSessions
from .request_signatures import authenticate

NAME = "GetCallerIdentity"


class GetCallerIdentity:
    """The action `GetCallerIdentity`. The request must be signed."""

    def __init__(self, sessions: IssuedSessions, nonces: ReplayCache) -> None:
        self._sessions = sessions
        self._nonces = nonces

    def __call__(self, request: Request, fields: Mapping[str, str]) -> dict[str, Any]:
        """Return the members of the response except RequestId. Raises `RefusedError`."""
        caller = authenticate(request, self._sessions, self._nonces)
        kind = "AssumedRoleUser" if ":role/" in caller.principal else "RAMUser"
        return {"IdentityType": kind, "AccountId": caller.account, "Arn": caller.principal}
