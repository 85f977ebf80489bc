"""The result of a check as text and as JSON. Neither contains a value of a response or the path of a URL."""

from __future__ import annotations

import json
from typing import Any

from .checker import Result
from .models.client import ECS, FAILS, URI, Verdict
from .rules.rule import BROKEN, OK, Finding

_PROTOCOLS = {URI: "credentials URI", ECS: "ECS metadata"}


def to_json(result: Result) -> str:
    """Return one JSON document."""
    return json.dumps(
        {
            "conforms": result.conforms,
            "origin": result.origin,
            "ecsOrigin": result.ecs_origin,
            "requests": result.requests,
            "seconds": round(result.seconds, 3),
            "secondsLeft": result.seconds_left,
            "sessionSeconds": result.session_seconds,
            "rules": [_rule(finding) for finding in result.findings],
            "clients": [_client(verdict) for verdict in result.verdicts],
        },
        indent=2,
    )


def _rule(finding: Finding) -> dict[str, Any]:
    return {
        "protocol": finding.protocol,
        "rule": finding.number,
        "name": finding.name,
        "verdict": finding.verdict,
        "meaning": finding.meaning,
        "seen": list(finding.seen),
        "cure": finding.cure,
    }


def _client(verdict: Verdict) -> dict[str, Any]:
    return {
        "protocol": verdict.protocol,
        "client": verdict.client,
        "verdict": verdict.state,
        "unmet": [{"need": unmet.need, "seen": unmet.seen} for unmet in verdict.unmet],
        "remarks": list(verdict.remarks),
    }


def to_text(result: Result) -> str:
    """Return lines to read: one per rule and client, with details of what is wrong, and a summary at the end."""
    protocols = [URI, *([ECS] if result.ecs_origin else [])]
    return "\n".join([*(line for protocol in protocols for line in _section(result, protocol)), _summary(result)])


def _section(result: Result, protocol: str) -> list[str]:
    origin = result.origin if protocol == URI else result.ecs_origin
    rules = [line for finding in result.findings if finding.protocol == protocol for line in _rule_lines(finding)]
    clients = [line for verdict in result.verdicts if verdict.protocol == protocol for line in _client_lines(verdict)]
    return [f"{_PROTOCOLS[protocol]}, {origin}", "  rules", *rules, "  clients", *clients, ""]


def _rule_lines(finding: Finding) -> list[str]:
    mark = "BROKEN" if finding.verdict == BROKEN else finding.verdict
    lines = [f"    {mark:<9} {finding.number:>4}  {finding.meaning}"]
    if finding.verdict == OK:
        return lines
    lines += [f"{'':20}seen: {seen}" for seen in finding.seen]
    return [*lines, f"{'':20}cure: {finding.cure}"]


def _client_lines(verdict: Verdict) -> list[str]:
    mark = "FAILS" if verdict.state == FAILS else verdict.state
    needs = [f"{'':14}needs {unmet.need}; seen: {unmet.seen}" for unmet in verdict.unmet]
    return [f"    {mark:<9} {verdict.client}", *needs, *(f"{'':14}{remark}" for remark in verdict.remarks)]


def _summary(result: Result) -> str:
    broken = sum(finding.verdict == BROKEN for finding in result.findings)
    failing = sum(verdict.state == FAILS for verdict in result.verdicts)
    if result.conforms:
        verdict = "conforms"
    elif broken or failing:
        verdict = f"does not conform: rules broken: {broken}, clients failing: {failing}"
    else:
        verdict = "incomplete: the limit was reached before every request was sent"
    return f"{verdict} ({result.requests} requests in {result.seconds:.1f} s)"
