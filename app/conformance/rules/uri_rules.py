"""The rules for the credentials URI: each asks what it needs to know, and says what is wrong."""

from __future__ import annotations

from ..models.body_parser import json_object
from ..models.timestamps import strict
from ..probe.target import UriTarget
from ..wire.answer import Answer, Reply
from .bodies import answered, credential_body, error_body, status_problem
from .rule import NotSeen, Problems, Rule

ANSWER_WITHIN = 5.0
"""Seconds until Node and C# give up."""

QUIET_ABOVE = 1860.0
"""Seconds left below which a client of margin 1800 + 0..60 (ack-ram-tool) asks on every call."""

USELESS = 900.0
"""Seconds of session that five SDKs refetch on every call from its first second."""


def direct(target: UriTarget) -> Problems:
    return [
        *status_problem(target.get(), "the URL itself"),
        *status_problem(target.with_slash(), "with the trailing slash changed"),
        *status_problem(target.with_query(""), "with an empty query"),
        *status_problem(target.with_query("conformance=1&blank="), "with a query"),
    ]


def host_forms(target: UriTarget) -> Problems:
    address = target.address
    hosts = {"Host with the port": address.authority, "Host without the port": address.host_name}
    if address.loopback:
        local = {"localhost": "localhost", "127.0.0.1": "127.0.0.1", "[::1]": "[::1]"}
        hosts |= {f"Host {name}": host for name, host in local.items()}
        hosts["Host localhost and the port"] = f"localhost:{address.port}"
    return [problem for what, host in hosts.items() for problem in status_problem(target.get(host=host), what)]


def rebinding(target: UriTarget) -> Problems:
    reply = target.get(host="rebound.example")
    return ["a foreign Host is answered"] if isinstance(reply, Answer) and reply.status == 200 else []


def no_negotiation(target: UriTarget) -> Problems:
    accepts = ("Accept: application/xml", "Accept: text/html", "Accept-Encoding: identity")
    replies = {line: target.get(line) for line in accepts}
    compressed = [f"{line}: compressed" for line, reply in replies.items() if _encoded(reply)]
    unasked = ["compressed, unasked"] if _encoded(target.get()) else []
    return [
        *(problem for line, reply in replies.items() for problem in status_problem(reply, line)),
        *compressed,
        *unasked,
    ]


def never_compressed(target: UriTarget) -> Problems:
    return ["compressed when asked"] if _encoded(target.get("Accept-Encoding: gzip")) else []


def _encoded(reply: Reply) -> bool:
    return isinstance(reply, Answer) and bool(reply.encoding)


def length_and_type(target: UriTarget) -> Problems:
    """Over every answer so far, whoever asked."""
    answers = [(ask, answer) for ask, answer in target.once.answers() if ask.method != "HEAD"]
    counts = {
        "a chunked body": sum(answer.framing == "chunked" for _, answer in answers),
        "no Content-Length": sum(answer.framing == "close" for _, answer in answers),
        "no Content-Type": sum(answer.header("content-type") is None for _, answer in answers),
        "bytes behind the body": sum(answer.surplus > 0 for _, answer in answers),
        "a success other than 200": sum(200 < answer.status < 300 for _, answer in answers),
    }
    return [f"{what} in {count} of {len(answers)} answers" for what, count in counts.items() if count]


def in_time(target: UriTarget) -> Problems:
    answer = answered(target.get())
    return [f"{answer.seconds:.1f} s"] if answer.seconds >= ANSWER_WITHIN else []


def literal(target: UriTarget) -> Problems:
    address = target.address
    if address.host == "localhost":
        return ["localhost: ecctl refuses it"]
    if ":" in address.host:
        return ["an IPv6 address: Python loses its brackets"]
    return [] if address.literal and address.loopback else ["no loopback address: ecctl refuses it"]


def no_header_needed(target: UriTarget) -> Problems:
    reply = target.get()
    denied = isinstance(reply, Answer) and reply.status in (401, 403, 407)
    return ["a plain GET is denied"] if denied else []


def forwarded(target: UriTarget) -> Problems:
    through = {
        "X-Forwarded-For": target.get("X-Forwarded-For: 203.0.113.7"),
        "an absolute-form target": target.absolute(),
    }
    return [
        f"{what} is answered" for what, reply in through.items() if isinstance(reply, Answer) and reply.status == 200
    ]


def methods(target: UriTarget) -> Problems:
    head, post = target.get(method="HEAD"), target.get("Content-Length: 0", method="POST")
    body = ["HEAD: an answer with a body"] if isinstance(head, Answer) and head.surplus else []
    return [*status_problem(head, "HEAD", (200, 405)), *body, *status_problem(post, "POST", (405,))]


def exact_body(target: UriTarget) -> Problems:
    return credential_body(answered(target.get()).body, target.now)


def errors(target: UriTarget) -> Problems:
    reply = target.unknown()
    if not isinstance(reply, Answer):
        return [f"an unknown path: {reply.why}"]
    if reply.status < 400:
        return [f"an unknown path: status {reply.status}"]
    return error_body(reply)


def no_store(target: UriTarget) -> Problems:
    return (
        [] if "no-store" in (answered(target.get()).header("cache-control") or "") else ["no Cache-Control: no-store"]
    )


def life(target: UriTarget) -> Problems:
    left, whole = times(target.get(), target.now)
    if left is None:
        raise NotSeen("no Expiration that can be read")
    if whole is not None and whole <= USELESS:
        return [f"sessions of {whole:.0f} s: Python, Java, Node, PHP and C# ask on every call, always"]
    return [f"{left:.0f} s are left"] if left < QUIET_ABOVE else []


def times(reply: Reply, now: float) -> tuple[float | None, float | None]:
    """Seconds that the session has left, and its whole length, as far as a strict reader can tell."""
    members = json_object(reply.body) if isinstance(reply, Answer) else None
    texts = [(members or {}).get(name) for name in ("Expiration", "LastUpdated")]
    ends, began = (strict(text) if isinstance(text, str) else None for text in texts)
    return (None if ends is None else ends - now), (None if ends is None or began is None else ends - began)


Uri = Rule[UriTarget]
URI_RULES: tuple[Uri, ...] = (
    Uri("1", "direct", "the URL is answered with and without a trailing slash and with any query, without a redirect",
        "switch slash redirection off; ignore the query", direct),
    Uri("2", "host", "Host is accepted with and without the port, and by every loopback name",
        "compare the host part alone: Python sends no port", host_forms),
    Uri("2", "rebinding", "a foreign Host is refused",
        "answer 403: a web page whose name suddenly means 127.0.0.1 can read the answer", rebinding, advice=True),
    Uri("3", "no negotiation", "no Accept header changes the answer, and nothing is compressed unasked",
        "ignore Accept; switch compression off", no_negotiation),
    Uri("3", "never compressed", "not even when asked", "switch compression off", never_compressed, advice=True),
    Uri("12", "in time", f"the answer comes within {ANSWER_WITHIN:g} s",
        "answer from memory; 503 within 4 s where there is nothing", in_time),
    Uri("15", "literal address", "the URL has 127.0.0.1 for its host",
        "publish http://127.0.0.1:PORT/…", literal),
    Uri("16", "no header needed", "a plain GET is answered",
        "no client can send a secret header: take the secret as a path segment", no_header_needed),
    Uri("21", "methods", "HEAD is 405 or has no body; other methods are 405", "answer GET alone", methods),
    Uri("23", "forwarded", "what came through a proxy is refused",
        "refuse X-Forwarded-*, Forwarded, Via and absolute-form targets: no client sends them", forwarded, advice=True),
    Uri("body", "credentials", "one line, seven members, all strings, times in whole seconds with Z, not expired",
        "send Code, StatusCode, AccessKeyId, AccessKeySecret, SecurityToken, Expiration, LastUpdated and no other",
        exact_body),
    Uri("body", "errors", "an unknown path is an error with a JSON body whose Code is a string, without keys",
        'send a status from 400 on and {"Code":"…","Message":"…"}', errors),
    Uri("body", "no-store", "the answer is not to be cached", "send Cache-Control: no-store", no_store, advice=True),
    Uri("life", "life", f"the session is longer than {USELESS:g} s and has {QUIET_ABOVE:g} s or more left",
        "ask for sessions of 3600 s or more, and renew them while 1860 s are left", life, advice=True),
)  # fmt: skip

LENGTH_RULE = Uri(
    "4", "length and type", "every answer has Content-Length and Content-Type, none is chunked, errors are no success",
    "send both with every answer, errors included: ossfs2 sizes its read by one, C# decodes by the other",
    length_and_type,
)  # fmt: skip
"""Judged last, over everything that anybody was answered."""
