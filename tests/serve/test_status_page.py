"""The status page: what it shows for every state, that every text is escaped, and the contrast of its colours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.parser import HTMLParser

import pytest

from app.core.values import STATES
from app.core.wording import TONES
from app.serve.markup import Markup, element
from app.serve.status_page import HEADERS, render
from app.serve.status_style import DARK, LIGHT, STYLE

from ..status_sample import DENIED, PROBLEMS, PROFILE, STATUS, with_text


class Text(HTMLParser):
    """The visible text of a page, the open elements, and the ids with the references to them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.labels: list[str] = []
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "link"):
            self._open.append(tag)
        for name, value in attrs:
            if name in ("id", "aria-labelledby"):
                (self.ids if name == "id" else self.labels).append(str(value))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text.append(data)


def words(page: str) -> str:
    """Return the visible text of a page."""
    return " ".join(Text(page).text)


def test_a_healthy_sidecar() -> None:
    """The page names the pod, says that it is ready, and shows role, time left, next refresh, attempts and callers."""
    page = render(STATUS, refresh=True)
    shown = words(page)

    assert "<title>shop/orders-0: ready – idaas-sidecar</title>" in page
    for expected in (
        "Ready: every required profile has credentials.",
        "Valid credentials, and the last refresh succeeded.",
        "acs:ram::1234567890123456:role/orders",
        "Time left: 45 min of 1 h, until 2026-01-02T04:04:05Z",
        "in 10 min, at 2026-01-02T03:50:00Z",
        "token 0.12 s, exchange 0.19 s",
        "uid 1000",
        "/usr/bin/python3.11",
        "refused: Host",
        "Refused requests by reason: Host 2.",
        "2 h 5 min ago, at 2026-01-02T01:14:05Z",
        "http://127.0.0.1:7117",
        "12, the last one at 2026-01-02T03:18:00Z",
    ):
        assert expected in shown, expected
    assert '<progress max="3600" value="2700" aria-label="Time left of default">' in page


def test_problems() -> None:
    """The page shows the error, the cloud's words and the cure, once each, and what else is wrong."""
    shown = words(render(PROBLEMS, refresh=True))

    for expected in (
        "Not ready: no valid credentials for reports.",
        "STS refused: HTTP 403, AuthenticationFail.NoPermission",
        "This operation is forbidden by the permission system.",
        "The role's trust policy does not match the token.",
        "IDS-401: The role's trust policy does not match.",
        "The subject differs.",
        "A repetition cannot succeed before something is changed.",
        "1A2B-3C4D",
        "no session is held",
        "under way",
        "refused by the cloud (AuthenticationFail.NoPermission)",
        "/etc/idaas-sidecar/config.json: profiles: required (IDS-106) What to do Add the key.",
        "These keys wait for a restart: server.bind, cache.directory",
        "The changed configuration of this profile does not serve yet: sts.example.com: HTTP 503 (IDS-206) What to do "
        "Wait for the region. The cloud's words Maintenance.",
    ):
        assert expected in shown, expected
    assert shown.lower().count(DENIED["failure"]["cure"].lower()) == 1
    assert shown.count(DENIED["failure"]["cloud_message"]) == 1


def test_tones_of_problems() -> None:
    """What needs a change has the tone of an error; an outage that may end by itself has that of a warning."""
    page = render(PROBLEMS, refresh=True)
    passing = DENIED | {"permanent": False}
    outage = render(STATUS | {"profiles": [passing]}, refresh=True)

    assert re.search(r'class="note bad"[^>]*>(<[^>]*>)*Not ready: ', page)
    assert re.search(r'class="note bad"[^>]*>(<[^>]*>)*Last error: ', page)
    assert re.search(r'class="note warn"[^>]*>(<[^>]*>)*Last error: ', outage)


def test_small_parts() -> None:
    """The footer links to pages that exist, no icon is asked for, and a caller without a uid is unknown."""
    page = render(PROBLEMS, refresh=True)

    links = re.findall(r'<a href="([a-z./]+)"', page)
    assert [each for each in ("status.json", "metrics", "readyz", "errors", "docs") if each not in links] == []
    assert '<link rel="icon" href="data:,">' in page
    assert "unknown" in words(page)
    assert re.search(r"<footer><p class=\"muted\">", page)


def test_failure_without_a_code() -> None:
    """A failure that has no code in the errors index has no line for it."""
    without = DENIED | {"failure": DENIED["failure"] | {"error_code": None}}

    assert "None" not in words(render(STATUS | {"profiles": [without]}, refresh=True))


def test_profiles_with_problems_come_first() -> None:
    """A profile that is not fresh, or has a change on trial, stands before the others."""
    page = render(PROBLEMS, refresh=False)

    assert page.index(">reports ") < page.index(">default ")


@pytest.mark.parametrize("state", STATES)
def test_every_state(state: str) -> None:
    """Each state has its word, its meaning and a colour of its own tone."""
    meaning = STATES[state]  # type: ignore[index]
    page = render(STATUS | {"profiles": [PROFILE | {"state": state, "state_meaning": meaning}]}, refresh=False)

    assert f'<span class="state {TONES[state]}">{state}</span>' in page
    assert meaning[1:] in words(page)


def test_a_sidecar_that_has_just_started() -> None:
    """Without attempts, callers and sessions the page says so."""
    profile = DENIED | {"attempts": [], "last_error": None, "failure": None, "on_trial": None, "required": False}
    empty = {"callers": [], "refused_callers": [], "denied": {}, "listeners": {}, "profiles": [profile]}
    shown = words(render(STATUS | empty, refresh=True))

    assert "No attempt has ended yet." in shown
    assert "No caller was served or refused yet." in shown
    assert "Refused requests by reason: none." in shown
    assert "Not required." in shown


@pytest.mark.parametrize("status", [STATUS, PROBLEMS])
def test_every_text_is_escaped(status: Mapping[str, object]) -> None:
    """No text of the status becomes markup, wherever it stands: an error may quote what the cloud answered."""
    hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    page = render(with_text(status, hostile), refresh=True)
    parsed = Text(page)

    assert not {"script", "img"} & set(parsed.tags)
    assert page.count("&lt;script&gt;") > 20
    assert "onerror" not in re.sub(r"&lt;.*?&gt;", "", page)


def test_refresh_can_be_paused() -> None:
    """The page has links that reload it once or every 10 s, and reloads itself on request alone; a link pauses that."""
    running, paused = render(STATUS, refresh=True), render(STATUS)

    assert '<meta http-equiv="refresh" content="10">' in running
    assert '<a href="status">Pause</a>' in running
    assert "http-equiv" not in paused
    assert '<a href="status">Reload</a>' in paused
    assert '<a href="?refresh=on">Reload every 10 s</a>' in paused


def test_nothing_foreign() -> None:
    """The page has no script, form or frame, and loads nothing; its policy forbids all of these."""
    page = render(PROBLEMS, refresh=True)

    assert not {"script", "img", "iframe", "form", "object"} & set(Text(page).tags)
    assert not re.findall(r'(?:src|href)="(?!data:,|status|metrics|readyz|docs|errors|\?refresh=on)', page)
    assert "url(" not in page
    assert "@import" not in page
    assert HEADERS[0][1].startswith(b"default-src 'none'; style-src 'unsafe-inline'; ")


def test_landmarks_and_labels() -> None:
    """The page has a language, a main region, a navigation, one heading of level 1, and a label for each section."""
    page = render(PROBLEMS, refresh=True)
    parsed = Text(page)

    assert '<html lang="en">' in page
    assert [parsed.tags.count(tag) for tag in ("header", "nav", "main", "footer", "h1")] == [1, 1, 1, 1, 1]
    assert parsed.labels == parsed.ids
    assert len(set(parsed.ids)) == len(parsed.ids) == parsed.tags.count("section")
    assert parsed.tags.count("table") == parsed.tags.count("caption") == page.count('role="region"')


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2)."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_contrast(colours: Mapping[str, str]) -> None:
    """Each text has a contrast of at least 4.5, and the bar of the time left one of at least 3 to its surroundings."""
    pairs = [("text", "page"), ("muted", "page"), ("link", "page")]
    pairs += [(tone, f"{tone}-page") for tone in ("good", "warn", "bad")]

    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert [pair for pair in pairs if contrast(*(colours[name] for name in pair)) < 4.5] == []
    assert contrast(colours["bar"], colours["track"]) >= 3
    assert contrast(colours["bar"], colours["page"]) >= 3


def test_light_and_dark_have_the_same_colours() -> None:
    """The dark page replaces every colour, and the style sheet uses no other colour."""
    assert LIGHT.keys() == DARK.keys()
    assert set(re.findall(r"var\(--([a-z-]+)\)", STYLE)) | {"line"} == set(LIGHT)
    assert set(re.findall(r"#[0-9a-f]{6}", STYLE)) == {*LIGHT.values(), *DARK.values()}


def test_markup_is_not_escaped_twice() -> None:
    """An element escapes text and attributes, and takes elements as they are."""
    assert element("p", "a<b", element("b", "&"), title='"x"', class_="c", aria_label=None) == (
        '<p title="&quot;x&quot;" class="c">a&lt;b<b>&amp;</b></p>'
    )
    assert element("meta", name="a", content=1) == '<meta name="a" content="1">'
    assert isinstance(element("p"), Markup)
