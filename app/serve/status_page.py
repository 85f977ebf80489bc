"""
The page `/status`: the members of `/status.json` for people.

The server builds the page without FastAPI, scripts or foreign assets. Every text goes through `element`, which escapes
it: an error may quote the cloud's answer. The page changes only on request: one link reloads it, another one makes it
reload itself, and a third one pauses the reload. A reload without a request of the reader is failure F41 of WCAG 2.2
(2.2.1, 2.2.4, 3.2.5).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..core.durations import in_seconds, in_words
from ..core.text import coded
from ..core.wording import OUTCOMES, TONES, verdict
from .markup import Markup, element, joined
from .status_style import STYLE

HTML = b"text/html; charset=utf-8"

HEADERS = (
    (
        b"Content-Security-Policy",
        b"default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
        b"frame-ancestors 'none'",
    ),
)
"""Headers that stop the browser from loading or running anything, even if a text were not escaped."""

RELOAD_SECONDS = 10

LINKS = {
    "status.json": "Status as JSON",
    "metrics": "Metrics",
    "readyz": "Readiness",
    "errors": "Errors and states",
    "docs": "HTTP API",
}
"""Paths of the operations listener and the texts of their links."""


def render(status: Mapping[str, Any], *, refresh: bool = False) -> str:
    """Return the page. With `refresh` it reloads itself every RELOAD_SECONDS."""
    host, (words, _) = status["host"], verdict(status)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width,initial-scale=1"),
        element("meta", http_equiv="refresh", content=RELOAD_SECONDS) if refresh else Markup(),
        element("link", rel="icon", href="data:,"),
        element("title", f"{host}: {words} – idaas-sidecar"),
        element("style", Markup(STYLE)),
    )
    body = element("body", _header(status, refresh=refresh), _main(status), _footer(status))
    return Markup("<!doctype html>") + element("html", head, body, lang="en")


def _header(status: Mapping[str, Any], *, refresh: bool) -> Markup:
    if refresh:
        reload = joined(f"This page reloads every {RELOAD_SECONDS} s. ", element("a", "Pause", href="status"))
    else:
        every = element("a", f"Reload every {RELOAD_SECONDS} s", href="?refresh=on")
        reload = joined(f"As of {status['now']}. ", element("a", "Reload", href="status"), " ", every)
    items = [element("li", element("a", title, href=path)) for path, title in LINKS.items()]
    return element(
        "header",
        element("h1", f"idaas-sidecar on {status['host']}"),
        element("p", reload, class_="muted"),
        element("nav", element("ul", *items), aria_label="Other pages of this sidecar"),
    )


def _main(status: Mapping[str, Any]) -> Markup:
    # Profiles that need attention come first; otherwise the order of the file applies.
    profiles = sorted(status["profiles"], key=lambda item: item["state"] == "fresh" and item["on_trial"] is None)
    return element(
        "main",
        _verdict(status),
        *(_profile(item, index) for index, item in enumerate(profiles)),
        _callers(status),
        _configuration(status),
    )


def _verdict(status: Mapping[str, Any]) -> Markup:
    if status.get("stopping"):
        return _note("warn", "Stopping: requests are answered until the sidecar ends.")
    if status["ready"]:
        return _note("good", "Ready: every required profile has credentials.")
    lacking = [
        item["profile"] for item in status["profiles"] if item["required"] and item["state"] not in ("fresh", "stale")
    ]
    return _note("bad", f"Not ready: no valid credentials for {', '.join(lacking)}.")


# --- one profile ------------------------------------------------------------------------------------------------------


def _profile(profile: Mapping[str, Any], index: int) -> Markup:
    name, state = profile["profile"], profile["state"]
    return _section(
        f"profile-{index}",
        joined(f"{name} ", element("span", state, class_=f"state {TONES.get(state, 'warn')}")),
        element("p", f"{_sentence(profile['state_meaning'])}{'' if profile['required'] else ' Not required.'}"),
        _time_left(profile),
        *_problems(profile),
        _list(_facts(profile)),
        _attempts(profile),
    )


def _time_left(profile: Mapping[str, Any]) -> Markup:
    left, life = profile["left_seconds"], profile["life_seconds"]
    if not life:
        return element("p", "Time left: no session is held.")
    words = f"Time left: {in_words(left)} of {in_words(life)}, until {profile['expires_at']}"
    bar = element("progress", max=life, value=min(left, life), aria_label=f"Time left of {profile['profile']}")
    return joined(element("p", words), bar)


def _problems(profile: Mapping[str, Any]) -> Iterator[Markup]:
    """Yield the failure, the cloud's error message, and the cure."""
    if profile["last_error"]:
        failure = profile["failure"] or {}
        shown = failure.get("message") or profile["last_error"]
        yield _note("bad" if profile["permanent"] else "warn", "Last error: ", shown)
        if profile["permanent"]:
            yield element("p", "A repetition cannot succeed before something is changed.")
        facts = {
            "Meaning": _coded(failure),
            "Cause": _sentence(failure.get("cause")),
            "What to do": _sentence(failure.get("cure")),
            "The cloud's words": failure.get("cloud_message"),
            "Stage": failure.get("stage"),
            "Endpoint": failure.get("endpoint"),
            "HTTP status": failure.get("status"),
            "Error code": failure.get("code"),
            "Request id": failure.get("request_id"),
        }
        yield _list(facts)
    if profile["on_trial"]:
        failure = profile.get("on_trial_failure") or {}
        yield _note(
            "warn",
            "The changed configuration of this profile does not serve yet: ",
            coded(failure.get("message") or profile["on_trial"], profile.get("on_trial_code")),
        )
        yield _list({"What to do": _sentence(failure.get("cure")), "The cloud's words": failure.get("cloud_message")})


def _facts(profile: Mapping[str, Any]) -> dict[str, object]:
    due = profile["next_refresh_seconds"]
    return {
        "Role": profile["role"],
        "Session name": profile["session"],
        "Identity": profile["identity"],
        "Next refresh": "under way" if due is None else f"in {in_words(due)}, at {profile['next_refresh_at']}",
        "Failures in a row": profile["failures"] or None,
        "Requests served": f"{profile['served']}{_last(profile['last_served_at'])}",
        "Requests refused": profile["refused"] or None,
    }


def _attempts(profile: Mapping[str, Any]) -> Markup:
    rows = [
        (
            attempt["at"],
            OUTCOMES.get(attempt["outcome"], attempt["outcome"]) + (f" ({attempt['code']})" if attempt["code"] else ""),
            in_seconds(attempt["seconds"]),
            ", ".join(f"{item['stage']} {in_seconds(item['seconds'])}" for item in attempt["stages"]) or "–",
        )
        for attempt in profile["attempts"]
    ]
    if not rows:
        return element("p", "No attempt has ended yet.", class_="muted")
    return _table(f"Last attempts of {profile['profile']}", ("Ended at", "Result", "Duration", "Stages"), rows)


# --- the sidecar ------------------------------------------------------------------------------------------------------


def _callers(status: Mapping[str, Any]) -> Markup:
    served, refused = status["callers"], status["refused_callers"]
    rows = [
        (
            *_who(item),
            joined("refused: ", item["reason"]) if item["reason"] else "served",
            str(item["count"]),
            item["last_at"],
        )
        for item in (*served, *refused)
    ]
    denied = ", ".join(f"{reason} {count}" for reason, count in sorted(status["denied"].items()))
    return _section(
        "callers",
        "Callers",
        _table(
            "Last callers: sessions that they received, or requests that were refused",
            ("User", "Executable", "Profile", "Listener", "Result", "Count", "Last"),
            rows,
        )
        if rows
        else element("p", "No caller was served or refused yet."),
        element("p", f"Refused requests by reason: {denied or 'none'}."),
    )


def _who(item: Mapping[str, Any]) -> tuple[str, str, str, str]:
    uid = "unknown" if item["uid"] is None else f"uid {item['uid']}"
    return uid, item["executable"] or "–", item["profile"] or "–", item["listener"]


def _configuration(status: Mapping[str, Any]) -> Markup:
    notes = []
    if status["config_error"]:
        known = {"message": status["config_error"], "error_code": status.get("config_error_code")}
        for mistake in status.get("config_mistakes") or [known]:
            reason = coded(mistake["message"], mistake["error_code"])
            notes.append(_note("bad", "The configuration file has changed and cannot be used: ", reason))
            notes.append(_list({"What to do": _sentence(mistake.get("cure"))}))
    if status["restart_needed"]:
        notes.append(_note("warn", "These keys wait for a restart: ", ", ".join(status["restart_needed"])))
    read = f"{in_words(status['config_age_seconds'])} ago, at {status['config_read_at']}"
    listeners = {f"Listener {name}": url for name, url in status["listeners"].items()}
    return _section(
        "configuration",
        "Configuration",
        *notes,
        _list({"Source": status["config"], "Read": read, **listeners}),
    )


def _footer(status: Mapping[str, Any]) -> Markup:
    words = f"idaas-sidecar {status['version']}, up {in_words(status['uptime_seconds'])}, as of {status['now']}"
    return element("footer", element("p", words, class_="muted"))


# --- parts ------------------------------------------------------------------------------------------------------------


def _section(name: str, title: str, *children: str) -> Markup:
    return element("section", element("h2", title, id=name), *children, aria_labelledby=name)


def _note(tone: str, *words: str) -> Markup:
    return element("p", *words, class_=f"note {tone}")


def _list(facts: Mapping[str, object]) -> Markup:
    """Return the facts as a description list; facts without a value are left out."""
    known = {name: value for name, value in facts.items() if value not in (None, "")}
    return element("dl", *(joined(element("dt", name), element("dd", _text(value))) for name, value in known.items()))


def _text(value: object) -> str:
    return value if isinstance(value, Markup) else str(value)


def _table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """Return a table that scrolls by itself on a small screen, also with the keyboard."""
    titles = element("tr", *(element("th", title, scope="col") for title in head))
    lines = (element("tr", *(element("td", cell) for cell in row)) for row in rows)
    table = element("table", element("caption", caption), element("thead", titles), element("tbody", *lines))
    return element("div", table, class_="wide", tabindex="0", role="region", aria_label=caption)


def _coded(failure: Mapping[str, Any]) -> Markup | None:
    """Return the failure's stable code with its meaning, as a link to its entry."""
    code = failure.get("error_code")
    words = f"{code}: {failure.get('meaning') or ''}".removesuffix(": ")
    return element("a", words, href=f"errors#{code}") if code else None


def _sentence(words: str | None) -> str:
    """Return `words` with a full stop, and with a capital letter unless they begin with a name such as `roleArn`."""
    if not words:
        return ""
    first = words[:1].upper() if words.split()[0].islower() else words[:1]
    return f"{first}{words[1:].removesuffix('.')}."


def _last(at: str | None) -> str:
    return f", the last one at {at}" if at else ""
