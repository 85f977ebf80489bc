"""What a handler of the credentials and metadata listeners returns."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ...core.values import Credentials
from ..access import Denial
from ..responses import BAD_REQUEST, Response
from .credential_endpoint import CredentialEndpoint

NEVER = float("inf")


class Answer(NamedTuple):
    """
    A response and the labels of its metrics; labels come from the configuration, never from the request.

    `denied` is the reason of a refusal. The last two are set where the response holds credentials: `below_horizon` as
    `CredentialEndpoint.current` says, and `first_use` if this caller receives them for the first time, for the audit.
    """

    response: Response
    label: str
    profile: str = ""
    denied: str = ""
    below_horizon: bool | None = None
    first_use: Credentials | None = None


class Pending(NamedTuple):
    """
    The request has to wait: until `ready` returns, and `patience` seconds at most (None: `ready` has its own limit).

    Then the handler is asked again.
    """

    ready: Callable[[], Awaitable[None]]
    patience: float | None
    cold: bool
    """Whether the wait is for the first credentials, for which a request waits once."""


class Grant(NamedTuple):
    """
    What a request asks for, as far as its bytes alone decide: one profile's credentials.

    Whether the caller gets them is decided at every use: the caller rule, the rate, the session token's expiry and the
    credentials' own expiry can change between two requests with the same bytes.
    """

    endpoint: CredentialEndpoint
    label: str
    """The endpoint label of the metrics: `credentials`, `aws` or `ecs_role`."""
    patience: float
    """Seconds that this kind of client waits at a cold start."""
    is_get: bool
    not_after: float = NEVER
    """The expiry of the metadata session token in the request, by the monotonic clock; NEVER without a token."""


def denied(denial: Denial, profile: str = "") -> Answer:
    """Return the answer of a refusal."""
    label = "denied" if denial.response is not BAD_REQUEST else "bad_request"
    return Answer(denial.response, label, profile, denied=denial.reason)
