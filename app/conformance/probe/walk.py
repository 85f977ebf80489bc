"""A client's way to its credentials at one server: the requests in its order, each answer through its own rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from ..models.body_parser import FOUR, Reading, Refusal, json_object
from ..models.client import EXCLUDED, FAILS, UNABLE, UNKNOWN, WORKS, EcsClient, SessionToken, UriClient, Verdict
from ..models.http_library import Transport
from ..models.refetch import remark
from ..wire.address import METADATA_HOST, Address, Ask
from ..wire.answer import Answer, NotAsked, Reply

Asking = Callable[[Ask, str], Reply]
"""One request's answer. The text tells requests apart that must not share one: each session token is new."""

URI, ECS = "uri", "ecs"
LIST = "/latest/meta-data/ram/security-credentials/"
TOKEN = "/latest/api/token"  # noqa: S105 - a path
TTL_HEADER = "X-aliyun-ecs-metadata-token-ttl-seconds"
TOKEN_HEADER = "X-aliyun-ecs-metadata-token"  # noqa: S105 - a header's name
LONGEST_LINE = 256
"""Bytes that a session token, which every client puts into a header, stays below."""

Refusals = tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """
    What a walk needs beside the client.

    `left` and `life`: seconds that the session has left, and its length, as far as a strict reader can tell. `error`:
    an answer to a question that has none, for clients that judge by the body.
    """

    asking: Asking
    now: float
    left: float | None = None
    life: float | None = None
    role: str = "default"
    error: Answer | None = None
    tokens_required: bool = False


def walk_uri(client: UriClient, address: Address, scene: Scene) -> Verdict:
    """How `client` fares with the URL."""
    if client.unable:
        return Verdict(client.name, URI, UNABLE, remarks=(client.unable,))
    refused = client.cannot_use(address)
    if refused is not None:
        return Verdict(client.name, URI, FAILS, (refused,))
    try:
        reply = _followed(client.ask(address), client.transport, address, scene.asking)
    except NotAsked as why:
        return Verdict(client.name, URI, UNKNOWN, remarks=(str(why),))
    reading = read(client, reply, scene.now)
    unmet = (*reading.refusals, *(_judged_error(client, scene) if client.judges_errors else ()))
    return _verdict(client, URI, unmet, scene)


def read(client: UriClient | EcsClient, reply: Reply, now: float) -> Reading:
    """An answer through the client's transport and parser."""
    body, stops = client.transport.receive(reply)
    if stops:
        return Reading(stops)
    reading = client.parse(body, now)
    wrong = _wrong_values(body, reading)
    return Reading((*reading.refusals, *wrong), reading.keys, reading.expires_at, reading.issued_at)


def _wrong_values(body: bytes, reading: Reading) -> Refusals:
    """A parser that is content may still have taken another member's value for a key's."""
    members = json_object(body) or {}
    told = tuple(members.get(name) for name in FOUR[:3])
    if reading.refusals or not all(isinstance(value, str) for value in told) or told == reading.keys:
        return ()
    return (Refusal("no member that is taken for another", "it reads other values than the members have"),)


def _followed(ask: Ask, transport: Transport, address: Address, asking: Asking) -> Reply:
    """The answer; behind one redirect, if this client follows it and it stays at this server."""
    reply = asking(ask, "")
    if not isinstance(reply, Answer) or not reply.redirects or not transport.follows:
        return reply
    target = _same_server(reply.header("location"), address)
    return reply if target is None else asking(Ask(target, ask.host, ask.lines), "")


def _same_server(location: str | None, address: Address) -> str | None:
    """Where a redirect leads, if that is at this server and can stand in a request line."""
    try:
        parts = urlsplit(urljoin(address.origin + address.path, location or ""))
    except ValueError:
        return None
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    here = location is not None and f"{parts.scheme}://{parts.netloc}" == address.origin
    return target if here and re.fullmatch(r"/[!-~]*", target) else None


def walk_ecs(client: EcsClient, scene: Scene) -> Verdict:
    """How `client` fares with the metadata paths."""
    if scene.tokens_required and client.session is None:
        return Verdict(client.name, ECS, EXCLUDED, remarks=("the server requires metadata tokens; it sends none",))
    visit = _Visit(client, scene)
    try:
        role, unmet = visit.role()
        reading = visit.credentials(role) if role is not None else Reading()
    except NotAsked as why:
        return Verdict(client.name, ECS, UNKNOWN, remarks=(str(why),))
    unmet = (*visit.unmet, *unmet, *reading.refusals, *_errors(client, scene))
    return _verdict(client, ECS, tuple(dict.fromkeys(unmet)), scene)


class _Visit:
    """One client's visit to the metadata paths. `unmet`: what it stumbled over on the token path."""

    def __init__(self, client: EcsClient, scene: Scene) -> None:
        self._client = client
        self._asking = scene.asking
        self._now = scene.now
        self._configured = scene.role
        self._token: str | None = None
        self.unmet: Refusals = ()

    def role(self) -> tuple[str | None, Refusals]:
        """The role's name as this client takes it, or None and why."""
        if not self._client.lists:
            return self._configured, ()
        reply = self._get(LIST + self._client.query, "list")
        if self.unmet:
            return None, ()
        body, stops = Transport().receive(reply)
        return (None, stops) if stops else _role_name(body.decode("latin-1"), self._client.role_name)

    def credentials(self, role: str) -> Reading:
        """What it reads behind the role's path."""
        reply = self._get(f"{self._client.prefix}{role}{self._client.query}", "role")
        return Reading() if self.unmet else read(self._client, reply, self._now)

    def _get(self, target: str, step: str) -> Reply:
        session = self._client.session
        token = self._session_token(session, step) if session is not None else None
        lines = (*self._client.lines, *((f"{TOKEN_HEADER}: {token}",) if token is not None else ()))
        reply = self._ask(target, lines)
        failed = isinstance(reply, Answer) and reply.status != 200
        if session is not None and session.repeats and token is not None and failed:
            return self._ask(target, self._client.lines)
        return reply

    def _ask(self, target: str, lines: tuple[str, ...]) -> Reply:
        where = Address(METADATA_HOST, 80, target)
        return _followed(Ask(target, METADATA_HOST, lines), self._client.transport, where, self._asking)

    def _session_token(self, session: SessionToken, step: str) -> str | None:
        if self._token is None or session.each_get:
            lines = (*self._client.lines, f"{TTL_HEADER}: {session.ttl}", *session.lines)
            reply = self._asking(Ask(TOKEN + session.query, METADATA_HOST, lines, "PUT"), step)
            self._token, unmet = session_token(session, reply)
            self.unmet = (*self.unmet, *unmet)
        return self._token


def session_token(session: SessionToken, reply: Reply) -> tuple[str | None, Refusals]:
    """What a client sends as its token after this answer to its PUT (None: nothing), and what it stumbles over."""
    if not isinstance(reply, Answer):
        return None, (Refusal("an answer on the token path", reply.why),)
    if reply.status in session.stumbles:
        return None, (Refusal("no 500 or 503 on the token path", f"status {reply.status}; it sleeps up to 63 s"),)
    if reply.status != 200 and not session.any_body:
        tolerated = session.tolerated is None or reply.status in session.tolerated
        return None, () if tolerated else (Refusal("200, 403 or 404 on the token path", f"status {reply.status}"),)
    text = reply.body.decode("latin-1")
    token = text if session.raw else text.strip()
    if not _visible(token) and session.shrugs:
        return None, ()
    if not _visible(token):
        seen = "a status other than 200" if reply.status != 200 else describe_line(text)
        return None, (Refusal("a token of one line of visible ASCII", seen),)
    return token, ()


def _role_name(text: str, manner: str) -> tuple[str | None, Refusals]:
    taken = {"raw": text, "trimmed": text.strip(), "first line": text.partition("\n")[0].strip()}[manner]
    if not _visible(taken):
        return None, (Refusal("a role list of one name without a line end", describe_line(text)),)
    return taken, ()


def _visible(text: str) -> bool:
    """What can stand in a request line or a header, and is no longer than a token or a name may be."""
    return 0 < len(text) < LONGEST_LINE and all("!" <= character <= "~" for character in text)


def describe_line(text: str) -> str:
    """A body's form where one line was wanted; nothing of what it says."""
    end = "with a line end" if text.endswith(("\n", "\r")) else "with blanks or other characters"
    return f"{len(text)} bytes {end}" if text else "nothing"


def _errors(client: EcsClient, scene: Scene) -> Refusals:
    judged = _judged_error(client, scene) if client.judges_errors else ()
    if not client.needs_code_in_errors or scene.error is None:
        return judged
    members = json_object(scene.error.body) or {}
    has_code = isinstance(members.get("Code"), str)
    return judged if has_code else (*judged, Refusal("Code as a string in errors", "none, on which it panics"))


def _judged_error(client: UriClient | EcsClient, scene: Scene) -> Refusals:
    """Who does not look at the status must find no credentials in an error."""
    if scene.error is None or client.parse(scene.error.body, scene.now).refusals:
        return ()
    return (
        Refusal("errors whose body holds no credentials", f"status {scene.error.status} with a body that it takes"),
    )


def _verdict(client: UriClient | EcsClient, protocol: str, unmet: Refusals, scene: Scene) -> Verdict:
    timely = ""
    if client.refetch is not None and scene.left is not None and not unmet:
        timely = remark(client.refetch, scene.left, scene.life)
    remarks = tuple(text for text in (client.remark, timely) if text)
    return Verdict(client.name, protocol, FAILS if unmet else WORKS, unmet, remarks)
