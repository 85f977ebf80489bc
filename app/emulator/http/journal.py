"""The journal: the last requests to the emulator, and the outcome of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .request import Request

MAX_CALLS = 10_000

_RECORDED_HEADERS = frozenset({"host", "user-agent", "authorization", "content-type", "accept"})
_RECORDED_PREFIXES = ("x-acs-", "x-aliyun-")

# The admin path shows the values of these fields and masks all others, so that a new secret field is masked as well.
_PUBLIC_FIELDS = frozenset(
    {
        *(":method", "host", "user-agent", "content-type", "accept"),
        *("audience", "resource", "subject_token_type", "requested_token_type", "cloudAccountRoleExternalId"),
        *("x-acs-action", "x-acs-version", "x-acs-date", "InstanceId", "ApplicationId", "Audience", "durationSeconds"),
        *("client_id", "grant_type", "scope", "client_assertion_type", "application_federated_credential_name"),
        *("Action", "Version", "Format", "Timestamp", "RoleArn", "OIDCProviderArn", "RoleSessionName"),
        *("DurationSeconds", "SourceIdentity"),
    }
)


@dataclass(frozen=True, slots=True)
class Call:
    """
    One request in the journal. `at` is its arrival, in Unix seconds.

    `outcome` is "ok", the error code, or the effect of a fault: "body", "dropped", a redirect's status. It is
    "unanswered" if the client disconnected first. `fields` may contain secrets: the parameters of query and form,
    the recorded headers in lower case, `:method` and `:query`.
    """

    kind: str
    at: float
    outcome: str
    fields: Mapping[str, str] = field(repr=False)

    def redacted(self) -> dict[str, Any]:
        """Return the call as a JSON object without secrets."""
        fields = {name: value if name in _PUBLIC_FIELDS else "***" for name, value in self.fields.items()}
        return {"kind": self.kind, "at": self.at, "outcome": self.outcome, "fields": fields}


class Journal(list[Call]):
    """The last `MAX_CALLS` calls, in the order in which they ended."""

    def record(self, call: Call) -> None:
        """Append `call`, and remove the oldest calls above the limit."""
        self.append(call)
        del self[:-MAX_CALLS]


def recorded_fields(request: Request) -> dict[str, str]:
    """Return the fields of a request that the journal records."""
    headers = {
        name: value
        for name, value in request.headers.items()
        if name in _RECORDED_HEADERS or name.startswith(_RECORDED_PREFIXES)
    }
    return {":method": request.method, ":query": request.query_string, **headers, **request.parameters}
