"""The decision about a pod, with its reason: inject, refuse, or leave alone. No file, no network, no clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .grant import grant
from .injection import injection
from .json_patch import patched
from .pod import Object, for_windows, is_labelled, members
from .policy import CredentialPolicy
from .rules import Expected, no_policy, request_violation, violation
from .settings import Settings

WINDOWS = "idaas-sidecar: not injected, because the sidecar does not run on Windows nodes. The pod has no credentials."
RRSA = (
    "idaas-sidecar: a container has the variables of RRSA. The SDKs prefer them to ALIBABA_CLOUD_CREDENTIALS_URI, so "
    "the application uses the role of RRSA and not that of the profile. Use one of the two."
)
_RRSA_VARIABLES = ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "ALIBABA_CLOUD_ROLE_ARN", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN")

Outcome = Literal["injected", "refused", "untouched"]

NOT_ALLOWED = "IDS-133"
"""The entry of each refusal in the errors index. The messages of the chart's policies end with it."""


@dataclass(frozen=True, slots=True)
class Decision:
    """
    The outcome for one pod.

    `message`: the reason of a refusal, and `error_code` its entry in the errors index. `patch`: the JSON Patch of an
    injected pod. kubectl prints `warnings`.
    """

    outcome: Outcome
    message: str = ""
    patch: list[Object] = field(default_factory=list)
    warnings: tuple[str, ...] = ()
    error_code: str = NOT_ALLOWED


def decide(pod: Object, namespace: str, policy: CredentialPolicy | None, settings: Settings) -> Decision:
    """Return the mutating webhook's decision about a new pod. `policy`: the namespace's policy, or None."""
    if not concerns(pod):
        return Decision("untouched", warnings=warnings(pod))
    expected = Expected(grant(pod, policy or CredentialPolicy(())), settings)
    message = _request_violation(pod, namespace, policy, expected)
    if message is not None:
        return Decision("refused", message)
    operations = injection(pod, expected.grant, settings)
    message = violation(patched(pod, operations), expected)
    if message is not None:
        return Decision("refused", message)
    return Decision("injected" if operations else "untouched", "", operations, warnings(pod))


def check(pod: Object, namespace: str, policy: CredentialPolicy | None, settings: Settings) -> Decision:
    """Return the validating webhook's decision about a new pod, after all mutating webhooks."""
    if not concerns(pod):
        return Decision("untouched", warnings=warnings(pod))
    expected = Expected(grant(pod, policy or CredentialPolicy(())), settings)
    message = _request_violation(pod, namespace, policy, expected) or violation(pod, expected)
    return Decision("refused", message) if message else Decision("untouched", warnings=warnings(pod))


def concerns(pod: Object) -> bool:
    """Return whether the pod must have the sidecar, so that its CredentialPolicy is needed."""
    return is_labelled(pod) and not for_windows(pod)


def warnings(pod: Object) -> tuple[str, ...]:
    """Return the advice about a pod with the label."""
    if not is_labelled(pod):
        return ()
    rrsa = any(
        variable.get("name") in _RRSA_VARIABLES
        for each in members(pod, "containers")
        for variable in each.get("env") or ()
    )
    return (*((WINDOWS,) if for_windows(pod) else ()), *((RRSA,) if rrsa else ()))


def _request_violation(pod: Object, namespace: str, policy: CredentialPolicy | None, expected: Expected) -> str | None:
    if policy is None:
        return no_policy(namespace)
    return request_violation(pod, expected.grant)
