"""What was asked of the emulator, and how that ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LIMIT = 10_000

# Shown over the admin path; whatever else a request carried is masked, so that a new secret field is masked
# too.
SHOWN = frozenset(
    {
        *(":method", "host", "user-agent", "content-type", "accept"),
        *("audience", "resource", "subject_token_type", "requested_token_type", "cloudAccountRoleExternalId"),
        *("x-acs-action", "x-acs-version", "x-acs-date", "InstanceId", "ApplicationId", "Audience", "durationSeconds"),
        *("client_id", "grant_type", "scope", "client_assertion_type", "application_federated_credential_name"),
        *(
            "Action",
            "Version",
            "Format",
            "Timestamp",
            "RoleArn",
            "OIDCProviderArn",
            "RoleSessionName",
            "DurationSeconds",
            "SourceIdentity",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Call:
    """
    One request.

    `outcome` is "ok", the error code, or what a fault made of it: "body", "dropped", a redirect's status;
    "unanswered" if the client left first. `fields` holds the parameters of query and form, the headers that matter
    in lower case, and `:method` and `:query`: secrets among them.
    """

    kind: str
    at: float
    outcome: str
    fields: Mapping[str, str] = field(repr=False)

    def redacted(self) -> dict[str, Any]:
        """The call as JSON, without anything secret."""
        fields = {name: value if name in SHOWN else "***" for name, value in self.fields.items()}
        return {"kind": self.kind, "at": self.at, "outcome": self.outcome, "fields": fields}


class Journal(list[Call]):
    """The last calls, in the order in which they ended."""

    def note(self, call: Call) -> None:
        """Add `call`, and forget the oldest if there are too many."""
        self.append(call)
        del self[:-LIMIT]
