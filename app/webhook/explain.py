"""Explains the webhooks' decisions about the pods of a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..core.errors import ConfigError, Mistake
from ..core.text import coded, one_line
from .changes import additions
from .decision import Decision, decide
from .grant import grant
from .guard import create_violation
from .names import LABEL
from .pod import Object, flattened, for_windows, is_labelled, within
from .policy import CredentialPolicy, PolicySource
from .settings import Settings
from .shape import check_pod, metadata_of

_TEMPLATES: dict[str, tuple[str, ...]] = {
    "Pod": (),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
"""The path to the pod template in each kind of workload. A pod is its own template."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """
    The decision for one pod.

    `what` names the object of the file. `reason` is a sentence. `added` has a line for each change of the pod.
    """

    what: str
    decision: Decision
    reason: str
    profiles: tuple[tuple[str, str], ...] = ()
    added: tuple[str, ...] = ()

    @property
    def error_code(self) -> str | None:
        """The entry of a refusal in the errors index, which the API server's message ends with; None without one."""
        return self.decision.error_code if self.decision.outcome == "refused" else None


def pods(objects: Iterable[Any], namespace: str, place: str) -> list[tuple[str, str, Object]]:
    """
    Return name, namespace and pod of each pod and workload. `namespace` is the default for objects that name none.

    The pod of a workload is its template. Other objects are skipped. Raises ConfigError with all malformed objects.
    """
    found: list[tuple[str, str, Object]] = []
    mistakes: list[Mistake] = []
    for each in flattened(objects):
        kind = within(each, "kind")
        if not isinstance(kind, str) or kind not in _TEMPLATES:
            continue
        try:
            found.append(_pod(each, kind, namespace, place))
        except ConfigError as error:
            mistakes += error.mistakes
    if mistakes:
        raise ConfigError.of(mistakes)
    return found


def _pod(each: Object, kind: str, namespace: str, place: str) -> tuple[str, str, Object]:
    """Return name, namespace and pod of a pod or workload. Raises ConfigError."""
    name = within(each, "metadata", "name") or within(each, "metadata", "generateName") or "(no name)"
    where = f"{place}: {kind} {one_line(str(name))}"
    metadata = metadata_of(each, where)
    pod = within(each, *_TEMPLATES[kind])
    if not isinstance(pod, dict) or not isinstance(within(pod, "spec", "containers"), list):
        raise ConfigError(f"{where}: no pod with spec.containers", error_code="IDS-126")
    check_pod(pod, where, ".".join(_TEMPLATES[kind]))
    found = metadata.namespace or namespace
    return f"{kind} {found}/{name}", found, pod


async def explained(what: str, namespace: str, pod: Object, policies: PolicySource, settings: Settings) -> Explanation:
    """Return the webhooks' decision about a new pod. Raises Unreachable if its policy cannot be read."""
    refused = create_violation(pod)
    if refused is not None:
        return Explanation(what, Decision("refused", refused), refused)
    policy = await policies.find(namespace) if is_labelled(pod) else None
    decision = decide(pod, namespace, policy, settings)
    added = tuple(additions(pod, decision.patch))
    return Explanation(what, decision, _reason(pod, decision), _profiles(pod, policy), added)


def _reason(pod: Object, decision: Decision) -> str:
    if decision.message:
        return decision.message
    if decision.outcome == "injected":
        return "the pod has the label, and the CredentialPolicy lists its service account for each profile"
    if not is_labelled(pod):
        return f'the pod does not have the label {LABEL}: "true"'
    return decision.warnings[0] if for_windows(pod) else "the pod has the sidecar already"


def _profiles(pod: Object, policy: CredentialPolicy | None) -> tuple[tuple[str, str], ...]:
    """Return name and role of each granted profile."""
    if policy is None:
        return ()
    found = grant(pod, policy)
    return tuple((each.name, each.role_arn) for each in found.allowed if each.name in found.requested)


def as_text(explanation: Explanation) -> Iterator[str]:
    """Yield the explanation as lines of text."""
    decision = explanation.decision
    yield f"{explanation.what}: {decision.outcome}"
    yield f"  why: {coded(explanation.reason, explanation.error_code)}"
    yield from (f"  profile: {name}, role {role}" for name, role in explanation.profiles)
    yield from (f"  warning: {each}" for each in decision.warnings if each != explanation.reason)
    yield from (f"  adds: {each}" for each in explanation.added)


def as_json(explanation: Explanation) -> Object:
    """Return the explanation as an object, with the whole JSON Patch."""
    decision = explanation.decision
    return {
        "object": explanation.what,
        "outcome": decision.outcome,
        "reason": explanation.reason,
        "error_code": explanation.error_code,
        "profiles": [{"name": name, "roleArn": role} for name, role in explanation.profiles],
        "warnings": list(decision.warnings),
        "adds": list(explanation.added),
        "patch": decision.patch,
    }
