"""The rules for the metadata address: session tokens, role list, roles."""

from __future__ import annotations

from ..probe.target import NOBODY, ROLES, EcsTarget
from ..probe.walk import TOKEN_HEADER, TTL_HEADER
from ..wire.answer import Answer
from .bodies import answered, credential_body, error_body, one_line, status_problem
from .rule import NotSeen, Problems, Rule

ANSWER_WITHIN = 1.0
"""Seconds until most SDKs give up."""

SHORT_BODY = 1024
"""Bytes that an answer to an unknown path may have."""

TTLS = ("1", "180", "3600", "18000", "21600")
"""Seconds: both ends of the range, and what clients were seen to ask for."""

HARMLESS = (200, 403, 404)
"""What the token path may answer: a token, or that there are none."""


def metadata_host(target: EcsTarget) -> Problems:
    return status_problem(target.get(target.role_path), "Host 100.100.100.200")


def put_forms(target: EcsTarget) -> Problems:
    _need_tokens(target)
    forms = {
        "PUT without Content-Length": target.put(length=False),
        "PUT with Content-Length: 0": target.put(),
        "the header's name in lower case": target.put(header=TTL_HEADER.lower()),
        "the header's name in upper case": target.put(header=TTL_HEADER.upper()),
    }
    return [problem for what, reply in forms.items() for problem in status_problem(reply, what)]


def ttls(target: EcsTarget) -> Problems:
    _need_tokens(target)
    replies = {ttl: target.put(ttl) for ttl in TTLS}
    limited = sum(ask.method == "PUT" and answer.status == 429 for ask, answer in target.once.answers())
    return [
        *(problem for ttl, reply in replies.items() for problem in status_problem(reply, f"TTL {ttl}")),
        *([f"{limited} requests for a token were throttled"] if limited else []),
    ]


def token_path(target: EcsTarget) -> Problems:
    return status_problem(target.put(), "PUT", HARMLESS)


def mode(target: EcsTarget) -> Problems:
    """Both modes are legitimate; a server that answers neither way is not."""
    bare = target.get(target.role_path, bare=True)
    if target.token is not None or (isinstance(bare, Answer) and bare.status == 200):
        return []
    return status_problem(bare, "a GET without a token, and none with one")


def wrong_token(target: EcsTarget) -> Problems:
    _need_tokens(target)
    reply = target.get(target.role_path, f"{TOKEN_HEADER}: {NOBODY}", bare=True)
    return ["a wrong token is answered with 200"] if isinstance(reply, Answer) and reply.status == 200 else []


def role_paths(target: EcsTarget) -> Problems:
    paths = {
        "the role": target.role_path,
        "the role with an empty query": f"{target.role_path}?",
        "Ram": f"/latest/meta-data/Ram/security-credentials/{target.role}",
        "Ram and Security": f"/latest/meta-data/Ram/Security-credentials/{target.role}",
        "the list": ROLES,
        "the list with a slash": f"{ROLES}/",
        "the list with slash and empty query": f"{ROLES}/?",
    }
    return [problem for what, path in paths.items() for problem in status_problem(target.get(path), what)]


def wrong_role(target: EcsTarget) -> Problems:
    return status_problem(target.get(f"{ROLES}/{NOBODY}"), "a role that is none", (404,))


def errors(target: EcsTarget) -> Problems:
    reply = target.get(f"{ROLES}/{NOBODY}")
    if not isinstance(reply, Answer) or reply.status < 400:
        raise NotSeen("no error to look at")
    return error_body(reply)


def in_time(target: EcsTarget) -> Problems:
    answer = answered(target.get(target.role_path))
    return [f"{answer.seconds:.1f} s"] if answer.seconds >= ANSWER_WITHIN else []


def unknown_path(target: EcsTarget) -> Problems:
    reply = target.get(f"/latest/meta-data/{NOBODY}")
    long = isinstance(reply, Answer) and len(reply.body) > SHORT_BODY
    return [*status_problem(reply, "an unknown path", (404,)), *(["an unknown path: a long body"] if long else [])]


def external_dns(target: EcsTarget) -> Problems:
    paths = ("region-id", "vpc-id")
    return [problem for path in paths for problem in status_problem(target.get(f"/latest/meta-data/{path}"), path)]


def forwarded(target: EcsTarget) -> Problems:
    reply = target.get(target.role_path, "X-Forwarded-For: 203.0.113.7")
    return ["X-Forwarded-For is answered"] if isinstance(reply, Answer) and reply.status == 200 else []


def role_body(target: EcsTarget) -> Problems:
    return credential_body(answered(target.get(target.role_path)).body, target.now)


def list_body(target: EcsTarget) -> Problems:
    return one_line(answered(target.get(f"{ROLES}/")))


def token_body(target: EcsTarget) -> Problems:
    return one_line(answered(target.put()))


def _need_tokens(target: EcsTarget) -> None:
    reply = target.put()
    if isinstance(reply, Answer) and reply.status != 200:
        raise NotSeen(f"there are no tokens: status {reply.status}")


Ecs = Rule[EcsTarget]
ECS_RULES: tuple[Ecs, ...] = (
    Ecs("2", "host", "Host 100.100.100.200 is accepted", "allow it beside the loopback names", metadata_host),
    Ecs("5", "PUT", "PUT is accepted without Content-Length and with 0, header names in any case",
        "Java sends none; compare names without case", put_forms),
    Ecs("6", "TTL", "1 to 21600 s are accepted, and tokens are not throttled",
        "make tokens stateless: clients ask a new one for each GET", ttls),
    Ecs("7", "token path", "the token path answers 200, or 404 or 403 where it is switched off",
        "answer 404: ack-ram-tool tolerates nothing else, ossfs v1 sleeps on 500 and 503", token_path),
    Ecs("8", "mode", "roles are answered without a token, or, where tokens are required, with one",
        "leave tokens optional: a dozen clients never send one", mode),
    Ecs("9", "wrong token", "a wrong token is refused", "answer 401", wrong_token),
    Ecs("10", "paths", "the role path ignores case and an empty query; the list has a slash or none",
        "match the prefix without case: ossutil and JindoSDK write Ram", role_paths),
    Ecs("11", "wrong role", "a role that is none is 404", "answer 404", wrong_role),
    Ecs("12", "in time", f"a role is answered within {ANSWER_WITHIN:g} s", "answer from memory", in_time),
    Ecs("22", "unknown path", "an unknown path is 404 with a short body", "answer 404", unknown_path),
    Ecs("22", "external-dns", "region-id and vpc-id are answered", "serve them, or do without external-dns",
        external_dns, advice=True),
    Ecs("23", "forwarded", "what came through a proxy is refused", "refuse X-Forwarded-*: no client sends it",
        forwarded, advice=True),
    Ecs("body", "role", "one line, seven members, all strings, times in whole seconds with Z, not expired",
        "send the body of the credentials URI", role_body),
    Ecs("body", "list", "one role's name without a line end",
        "send the bare name: Python asks for NAME%0A otherwise", list_body),
    Ecs("body", "token", "one line of visible ASCII without a line end, under 256 bytes",
        "send the bare token: it becomes a header as it is", token_body),
    Ecs("body", "errors", "an error has a JSON body whose Code is a string, without keys",
        'send {"Code":"…","Message":"…"}', errors),
)  # fmt: skip
