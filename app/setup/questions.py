"""Asks for a workload on a terminal. Each answer is checked at once. A question is repeated until RAM would accept the
answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..core.errors import Mistake
from . import limits
from .workload import KINDS, Workload

Ask = Callable[[str], str]
"""Shows a question and returns the line that was typed. Raises ConfigError at the end of the input."""
Tell = Callable[[str], None]

_KINDS = {
    "idaas": "Alibaba Cloud IDaaS (M2M application)",
    "okta": "Okta (API Services application)",
    "keycloak": "Keycloak (service account of a client)",
    "kubernetes": "a Kubernetes cluster (service account)",
    "oidc": "any other OpenID provider",
}


def workload(ask: Ask, tell: Tell) -> Workload:
    """Return the workload that the answers describe."""
    tell("Which issuer proves the workload's identity?")
    for number, kind in enumerate(KINDS, 1):
        tell(f"  {number}  {_KINDS[kind]}")
    kind = KINDS[int(_answer(ask, tell, "Number", _number, "1")) - 1]
    account = _answer(ask, tell, "Id of the Alibaba Cloud account", limits.account)
    issuer = _answer(ask, tell, "Issuer URL (the iss of its tokens)", limits.issuer)
    audience = _answer(ask, tell, "Audience (the aud of its tokens)", _audience, _DEFAULT_AUDIENCES.get(kind))
    client = instance = subject = None
    if kind == "idaas":
        instance = _answer(ask, tell, "IDaaS instance id (idaas_...)", _not_empty)
    if kind != "kubernetes":
        client = _answer(ask, tell, "Client id", _not_empty)
    if kind in ("keycloak", "kubernetes"):
        subject = _answer(ask, tell, _SUBJECT_QUESTIONS[kind], _not_empty)
    provider = _answer(ask, tell, "Name of the OIDC provider in RAM", limits.provider_name, kind)
    role = _answer(ask, tell, "Name of the role", limits.role_name)
    policy = _answer(ask, tell, "System policy to attach, such as AliyunOSSReadOnlyAccess (empty: none)", _policy, "")
    return Workload(
        kind=kind,
        account=account,
        provider=provider,
        issuer=issuer,
        audience=audience,
        subjects=(subject,) if subject else (),
        client_id=client,
        idaas_instance_id=instance,
        role=role,
        policies=(policy,) if policy else (),
    )


_DEFAULT_AUDIENCES = {"kubernetes": "sts.aliyuncs.com"}
_SUBJECT_QUESTIONS = {
    "keycloak": "Id of the client's service-account user (the sub of its tokens)",
    "kubernetes": "Subject (system:serviceaccount:<namespace>:<service account>)",
}


def _answer(
    ask: Ask, tell: Tell, question: str, check: Callable[[str, str], Iterator[Mistake]], default: str | None = None
) -> str:
    """Return the first answer in which `check` finds no mistake. An empty line stands for `default`."""
    hint = f" [{default}]" if default else ""
    while True:
        value = ask(f"{question}{hint}: ").strip() or default
        mistakes = list(check(value, question)) if value is not None else [_required(question)]
        if value is not None and not mistakes:
            return value
        for line in mistakes:
            tell(f"  {line}")


def _number(value: str, place: str) -> Iterator[Mistake]:
    if value not in {str(number) for number in range(1, len(KINDS) + 1)}:
        yield Mistake(f"{place}: must be a number from 1 to {len(KINDS)}", limits.CODE)


def _not_empty(value: str, place: str) -> Iterator[Mistake]:
    if not value:
        yield _required(place)


def _required(place: str) -> Mistake:
    return Mistake(f"{place}: required", limits.CODE)


def _audience(value: str, place: str) -> Iterator[Mistake]:
    return limits.client_ids((value,), place)


def _policy(value: str, place: str) -> Iterator[Mistake]:
    if value:
        yield from limits.policy_name(value, place)
