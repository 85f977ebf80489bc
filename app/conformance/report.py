"""A survey for people and for programs. Nothing that an answer held is in it, and no path of a URL."""

from __future__ import annotations

import json
from typing import Any

from .models.client import FAILS, Verdict
from .probe.walk import ECS, URI
from .rules.rule import BROKEN, OK, Finding
from .survey import Survey

_PROTOCOLS = {URI: "credentials URI", ECS: "ECS metadata"}


def document(survey: Survey) -> str:
    """One JSON document."""
    return json.dumps(
        {
            "conforms": survey.conforms,
            "origin": survey.origin,
            "ecsOrigin": survey.ecs_origin,
            "requests": survey.requests,
            "seconds": round(survey.seconds, 3),
            "secondsLeft": survey.left,
            "sessionSeconds": survey.life,
            "rules": [_rule(finding) for finding in survey.findings],
            "clients": [_client(verdict) for verdict in survey.verdicts],
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
        "unmet": [{"need": refusal.need, "seen": refusal.seen} for refusal in verdict.unmet],
        "remarks": list(verdict.remarks),
    }


def text(survey: Survey) -> str:
    """Lines to read: what is wrong with its cure, what is right in one line each, and the sum."""
    protocols = [URI, *([ECS] if survey.ecs_origin else [])]
    return "\n".join([*(line for protocol in protocols for line in _part(survey, protocol)), *_sum(survey)])


def _part(survey: Survey, protocol: str) -> list[str]:
    origin = survey.origin if protocol == URI else survey.ecs_origin
    rules = [line for finding in survey.findings if finding.protocol == protocol for line in _rule_lines(finding)]
    clients = [line for verdict in survey.verdicts if verdict.protocol == protocol for line in _client_lines(verdict)]
    return [f"{_PROTOCOLS[protocol]}, {origin}", "  rules", *rules, "  clients", *clients, ""]


def _rule_lines(finding: Finding) -> list[str]:
    mark = "BROKEN" if finding.verdict == BROKEN else finding.verdict
    lines = [f"    {mark:<9} {finding.number:>4}  {finding.meaning}"]
    if finding.verdict == OK:
        return lines
    lines += [f"{'':20}seen: {words}" for words in finding.seen]
    return [*lines, f"{'':20}cure: {finding.cure}"]


def _client_lines(verdict: Verdict) -> list[str]:
    mark = "FAILS" if verdict.state == FAILS else verdict.state
    needs = [f"{'':14}needs {refusal.need}; there is: {refusal.seen}" for refusal in verdict.unmet]
    return [f"    {mark:<9} {verdict.client}", *needs, *(f"{'':14}{words}" for words in verdict.remarks)]


def _sum(survey: Survey) -> list[str]:
    broken = sum(finding.verdict == BROKEN for finding in survey.findings)
    failing = sum(verdict.state == FAILS for verdict in survey.verdicts)
    cost = f"{survey.requests} requests in {survey.seconds:.1f} s"
    unknown = "" if broken or failing else "not everything was asked"
    verdict = "it conforms" if survey.conforms else unknown or f"{broken} rules broken, {failing} clients fail"
    return [f"{verdict} ({cost})"]
