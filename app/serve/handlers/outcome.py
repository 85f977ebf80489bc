"""The results of the handlers of the credentials and metadata listeners."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ...core.values import Credentials
from ..access import Denial
from ..responses import BAD_REQUEST, Response
from .credential_endpoint import CredentialEndpoint

NEVER = float("inf")


class LabelledResponse(NamedTuple):
    """
    A response and the labels of its metrics; labels come from the configuration, never from the request.

    `denied` is the reason of a refusal. Two members are set for a response with credentials: `below_horizon` as in
    `CredentialEndpoint.current`, and `first_use`, for the audit, if this caller receives them for the first time.
    """

    response: Response
    label: str
    profile: str = ""
    denied: str = ""
    below_horizon: bool | None = None
    first_use: Credentials | None = None


class Pending(NamedTuple):
    """
    A request that has to wait until `ready` returns, for at most `patience` seconds (None: `ready` has its own limit).

    The handler then decides about the request again.
    """

    ready: Callable[[], Awaitable[None]]
    patience: float | None
    cold: bool
    """Whether the wait is for the profile's first credentials; a request waits for them once only."""


class Grant(NamedTuple):
    """
    The profile whose credentials a request asks for, as decided from the request's bytes alone.

    Whether the caller receives the credentials is decided at every use: the caller rule, the rate, the session token's
    expiry and the credentials' own expiry can change between two requests with the same bytes.
    """

    endpoint: CredentialEndpoint
    label: str
    """The endpoint label of the metrics: `credentials`, `aws` or `ecs_role`."""
    patience: float
    """Seconds that this kind of client waits at a cold start."""
    is_get: bool
    not_after: float = NEVER
    """The expiry of the metadata session token in the request, by the monotonic clock; NEVER without a token."""


def denied(denial: Denial, profile: str = "") -> LabelledResponse:
    """Return the answer to a refused request."""
    label = "denied" if denial.response is not BAD_REQUEST else "bad_request"
    return LabelledResponse(denial.response, label, profile, denied=denial.reason)
