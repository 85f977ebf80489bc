"""Evaluates a role's trust policy for a token in the same way as RAM: provider, conditions, operators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..core.json_text import TooDeep, json_value
from ..core.text import one_line
from ..identity.jwt_claims import Claims, ExpectedClaims
from ..setup.trust_policy import ACTION, trusts
from . import consequences
from .compare import closest, marked
from .finding import Finding, broken, warning
from .token_request import Claim, TokenRequest

ISSUER, AUDIENCE, SUBJECT = "oidc:iss", "oidc:aud", "oidc:sub"
_CLAIMS: Mapping[str, Claim] = {ISSUER: "iss", AUDIENCE: "aud", SUBJECT: "sub"}
VERSION = "1"
"""The version of RAM's policy language. RAM accepts no other."""
_OTHERS = "that meets the other conditions may then assume the role"
_CODES = {AUDIENCE: "IDS-429", ISSUER: "IDS-430", SUBJECT: "IDS-431"}
_PROVIDER, _UNREADABLE, _NO_CONDITION, _DENIED = "IDS-432", "IDS-433", "IDS-434", "IDS-438"


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on a claim. Its operator is a string operator, such as `StringEquals` or `StringNotLike`."""

    operator: str
    key: str
    values: tuple[str, ...]

    @property
    def negated(self) -> bool:
        """Whether the condition holds if no value matches."""
        return self.operator.startswith("StringNot")

    @property
    def admits_all(self) -> bool:
        """Whether the condition holds for every value, because its pattern consists of wildcards."""
        return (
            self.operator.endswith("Like") and not self.negated and any(not set(each) - {"*"} for each in self.values)
        )

    def holds(self, claims: tuple[str, ...]) -> bool:
        """Return whether the condition holds for the values of the token's claim."""
        matches = any(_matches(self.operator, pattern, value) for pattern in self.values for value in claims)
        return matches is not self.negated


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement about AssumeRole by OIDC providers. All `conditions` must hold. `denies`: the statement's effect."""

    providers: tuple[str, ...]
    conditions: tuple[Condition, ...]
    denies: bool = False


Registered = Mapping[str, tuple[str, tuple[str, ...]]]
"""For a condition key, the code of the step `OIDC provider` for this claim, and the values that it accepts."""


@dataclass(frozen=True, slots=True)
class _Token:
    """The values of a token for each condition key, and whose they are, for the messages."""

    values: Mapping[str, tuple[str, ...]]
    whose: str
    request: TokenRequest
    registered: Registered | None = None


class NotATrustPolicy(ValueError):
    """A text that is no trust policy, or a policy that allows nothing. The message says why. `cure`: if known."""

    def __init__(self, cause: str, cure: str = "") -> None:
        super().__init__(cause)
        self.cure = cure


def statements(text: str) -> list[Statement]:
    """Return the statements of a policy, or of the answer of `aliyun ram GetRole`. Raises NotATrustPolicy."""
    try:
        found: Any = json_value(text)
        role = found.get("Role", found)
        found = role.get("AssumeRolePolicyDocument", role)
        policy = json_value(found) if isinstance(found, str) else found
        version = policy.get("Version", VERSION)
        made = [_statement(each) for each in _several(policy["Statement"]) if _concerns(each)]
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        form = (
            str(error)
            if isinstance(error, TooDeep)
            else "not JSON"
            if isinstance(error, ValueError)
            else "no object with a Statement of Effect, Action and Principal"
        )
        raise NotATrustPolicy(form) from None
    if version != VERSION:
        raise NotATrustPolicy(f"its Version is {one_line(repr(version)[:40])}", f'write "Version": "{VERSION}"')
    if all(each.denies for each in made):
        raise NotATrustPolicy(
            f"no statement allows {ACTION} to an OIDC provider (Principal.Federated)",
            f"write a statement with the Action {ACTION} and the provider's ARN as Principal.Federated; "
            "`idaas-sidecar setup` prints it",
        )
    return made


def findings(
    text: str, provider_arn: str, claims: Claims, request: TokenRequest, registered: Registered | None = None
) -> Iterator[Finding]:
    """
    Yield why the role does not trust a token with `claims`. Of several statements, use the one that fits best.

    `request`: the origin of the token. `registered`: issuer and client ids of the OIDC provider, if RAM was read.
    """
    yield from _findings(text, provider_arn, _Token(_values(claims), "the token's", request, registered))


def expected_findings(
    text: str, provider_arn: str, expected: ExpectedClaims, request: TokenRequest
) -> Iterator[Finding]:
    """
    Yield the reasons why the role would not trust a token as the configuration requests it. For a run without a token.

    Each is a warning: a resource server of IDaaS may have a custom subject.
    """
    known = {ISSUER: expected.issuer, AUDIENCE: expected.audience, SUBJECT: expected.client_id}
    values = {key: (value,) for key, value in known.items() if value is not None}
    for found in _findings(text, provider_arn, _Token(values, "by the configuration, the token's", request)):
        yield replace(found, state="warning")


def _findings(text: str, provider_arn: str, token: _Token) -> Iterator[Finding]:
    try:
        known = statements(text)
    except NotATrustPolicy as error:
        yield broken(_UNREADABLE, f"the trust policy: {error}", error.cure)
        return
    allowing = [each for each in known if not each.denies]
    named = [each for each in allowing if provider_arn in each.providers]
    if not named:
        nearest = closest(provider_arn, tuple(arn for each in allowing for arn in each.providers))
        yield broken(
            _PROVIDER,
            f"Principal.Federated of the trust policy is {marked(nearest, provider_arn)}, "
            f"oidcProviderArn is {marked(provider_arn, nearest)}",
        )
        return
    yield from min((list(_judged(each.conditions, token)) for each in named), key=_weight)
    for each in known:
        if each.denies and provider_arn in each.providers and _applies(each, token.values):
            on = ", ".join(f"{condition.operator} on {condition.key}" for condition in each.conditions)
            yield broken(_DENIED, f"a Deny of the trust policy applies to the token ({on or 'it has no condition'})")


def unexamined(text: str, provider_arn: str) -> tuple[str, ...]:
    """Return the conditions for this provider that are not about the token, such as `IpAddress on acs:SourceIp`."""
    try:
        known = statements(text)
    except NotATrustPolicy:
        return ()
    conditions = (each for made in known if provider_arn in made.providers for each in made.conditions)
    return tuple(dict.fromkeys(f"{each.operator} on {each.key}" for each in conditions if each.key not in _CLAIMS))


def _weight(found: list[Finding]) -> int:
    return sum(10 if each.state == "broken" else 1 for each in found)


def _values(claims: Claims) -> dict[str, tuple[str, ...]]:
    """Return the values that the token has for each condition key."""
    return {
        ISSUER: (claims.issuer,) if claims.issuer else (),
        AUDIENCE: claims.audiences,
        SUBJECT: (claims.subject,) if claims.subject else (),
    }


def _applies(statement: Statement, values: Mapping[str, tuple[str, ...]]) -> bool:
    """Return whether all conditions are known and hold. A condition that this program cannot evaluate is no denial."""
    return all(each.key in values and each.holds(values[each.key]) for each in statement.conditions)


def _judged(conditions: tuple[Condition, ...], token: _Token) -> Iterator[Finding]:
    for condition in conditions:
        claims = token.values.get(condition.key)
        if claims is not None and not condition.holds(claims):
            yield _excludes(condition, claims, token) if condition.negated else _differs(condition, claims, token)
    narrowing = {each.key for each in conditions if not (each.negated or each.admits_all)}
    missing = [key for key in token.values if key not in narrowing]
    if missing:
        wildcards = any(each.admits_all and each.key in missing for each in conditions)
        but = ", except for wildcards alone" if wildcards else ""
        yield warning(_NO_CONDITION, f"the trust policy has no condition on {', '.join(missing)}{but}")


def _excludes(condition: Condition, values: tuple[str, ...], token: _Token) -> Finding:
    claim = _CLAIMS[condition.key]
    return broken(
        _CODES[condition.key],
        f"{condition.operator} on {condition.key} of the trust policy excludes "
        f"{token.whose} {claim} {', '.join(values)}",
        token.request.cure(
            claim,
            (),
            f"name other values in {condition.operator} on {condition.key}",
            f"every token that the condition no longer excludes {_OTHERS}",
        ),
    )


def _differs(condition: Condition, values: tuple[str, ...], token: _Token) -> Finding:
    key, claim = condition.key, _CLAIMS[condition.key]
    value = values[0] if values else ""
    nearest = closest(value, condition.values)
    difference = (
        f"{key} of the trust policy is {marked(nearest, value)}, {token.whose} {claim} is {marked(value, nearest)}"
    )
    change = f"write {value!r} into {key} of the role's trust policy"
    consequence = f"every token with this {claim} {_OTHERS}"
    if _means(condition, values):
        return broken(
            _CODES[key],
            f"{difference}; {condition.operator} takes * and ? literally: they are wildcards in StringLike only",
            f"request another token; only if {nearest!r} was meant to match {value!r}, {change}: {consequence}",
        )
    found = broken(_CODES[key], difference, token.request.cure(claim, condition.values, change, consequence))
    if token.registered is None or key not in token.registered:
        return found
    code, known = token.registered[key]
    # A token that the provider accepts would meet the condition too, so the token is the only mistake.
    same = condition.holds(known) and not set(known) & set(values)
    return consequences.of(found, (code,)) if same else found


def _means(condition: Condition, values: tuple[str, ...]) -> bool:
    """Return whether a value would match a pattern of the condition with wildcards. Wildcards alone do not count."""
    patterns = [each for each in condition.values if each.strip("*?")]
    return any(trusts(patterns, value) for value in values)


def _matches(operator: str, pattern: str, value: str) -> bool:
    if operator.endswith("Like"):
        return trusts((pattern,), value)
    return pattern.lower() == value.lower() if "IgnoreCase" in operator else pattern == value


def _concerns(statement: Any) -> bool:
    """Return whether a statement is about AssumeRole by OIDC providers."""
    principal = statement.get("Principal")
    return (
        statement.get("Effect") in ("Allow", "Deny")
        and any(action in (ACTION, "sts:*", "*") for action in _several(statement.get("Action")))
        and isinstance(principal, dict)
        and "Federated" in principal
    )


def _statement(statement: Mapping[str, Any]) -> Statement:
    conditions = tuple(
        Condition(operator, key, tuple(map(str, _several(values))))
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )
    providers = tuple(map(str, _several(statement["Principal"]["Federated"])))
    return Statement(providers, conditions, denies=statement["Effect"] == "Deny")


def _several(value: Any) -> list[Any]:
    """Return `value` as a list. RAM writes a single item without a list."""
    return value if isinstance(value, list) else [value]
