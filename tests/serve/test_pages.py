"""The HTML of the operations listener."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.serve import pages

FRESH = {
    "profile": "default",
    "state": "fresh",
    "expires_at": "2026-01-02T04:04:05Z",
    "next_refresh_at": "2026-01-02T03:50:00Z",
    "failures": 0,
    "last_error": None,
    "on_trial": None,
}
PROBLEMS = {"config_error": "profiles: <required>", "restart_needed": ["server.bind", "cache.directory"]}


def body(page: str) -> str:
    """Return what a page shows, behind its style."""
    return page.partition("</style>")[2]


def test_status_page() -> None:
    """The page has a row per profile; an empty value is a dash; without problems there are no notes."""
    page = pages.status_page({"version": "1.2", "config_error": None, "restart_needed": [], "profiles": [FRESH]})

    assert body(page) == (
        "<h1>idaas-sidecar 1.2</h1><table><tr><th scope=col>profile</th><th scope=col>state</th>"
        "<th scope=col>expires_at</th><th scope=col>next_refresh_at</th><th scope=col>failures</th>"
        "<th scope=col>last_error</th><th scope=col>on_trial</th></tr>"
        "<tr><td>default</td><td>fresh</td><td>2026-01-02T04:04:05Z</td><td>2026-01-02T03:50:00Z</td>"
        "<td>–</td><td>–</td><td>–</td></tr></table></html>"
    )


def test_head_of_the_status_page() -> None:
    """The page reloads itself every 10 seconds and has no script."""
    page = pages.status_page({"version": "1", "profiles": []})

    assert page.startswith(
        "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=10>"
        "<title>idaas-sidecar status</title><style>body{font:1rem system-ui;margin:2rem}"
        "td,th{padding:.3rem .8rem;text-align:left;border-bottom:1px solid #999}code{font-size:1em}</style>"
    )
    assert body(page).startswith("<h1>idaas-sidecar 1</h1><table>")


def test_problems_of_a_reload() -> None:
    """The page shows what a reload left undone."""
    page = pages.status_page({"version": "1", "profiles": [], **PROBLEMS})

    assert body(page).startswith(
        "<h1>idaas-sidecar 1</h1>"
        "<p>The configuration file has changed and cannot be used: profiles: &lt;required&gt;</p>"
        "<p>These keys wait for a restart: server.bind, cache.directory</p><table>"
    )


@pytest.mark.parametrize("member", [*FRESH, "version", "config_error", "restart_needed"])
def test_status_text_is_escaped(member: str) -> None:
    """Every text on the page is escaped: an error may quote what the cloud answered."""
    status: dict[str, Any] = {"version": "1", "profiles": [dict(FRESH)], **PROBLEMS}
    (status["profiles"][0] if member in FRESH else status)[member] = (
        ["<script>"] if member == "restart_needed" else "<script>"
    )
    page = pages.status_page(status)

    assert "&lt;script&gt;" in page
    assert "<script>" not in page


OPENAPI: dict[str, Any] = {
    "info": {"title": "the <title>", "version": "<1>", "description": "Runs `a<b` and `c`."},
    "tags": [{"name": "first", "description": "The `first` tag."}, {"name": "<second>", "description": "Other."}],
    "paths": {
        "/a/{b}": {
            "get": {
                "tags": ["first"],
                "description": "Returns `b`.",
                "parameters": [
                    {"name": "<b>", "in": "path", "description": "One `b`."},
                    {"name": "plain", "in": "header"},
                ],
                "responses": {"200": {"description": "It is `there`."}, "404": {"description": "<none>"}},
            },
            "put": {"tags": ["<second>"], "responses": {"201": {"description": "Created"}}},
        },
        "/<c>": {"get": {"tags": ["first", "<second>"], "responses": {}}},
    },
}


def test_docs_page() -> None:
    """Each tag lists its operations with parameters and answers; backquotes become code, all text is escaped."""
    page = pages.docs_page(OPENAPI)

    assert body(page) == (
        "<h1>the &lt;title&gt; &lt;1&gt;</h1><p>Runs <code>a&lt;b</code> and <code>c</code>.</p>"
        '<p><a href="openapi.json">openapi.json</a></p>'
        "<h2>first</h2><p>The <code>first</code> tag.</p>"
        "<h3><code>GET /a/{b}</code></h3><p>Returns <code>b</code>.</p>"
        "<ul><li><code>&lt;b&gt;</code> (path): One <code>b</code>.</li><li><code>plain</code> (header): </li></ul>"
        "<ul><li>200: It is <code>there</code>.</li><li>404: &lt;none&gt;</li></ul>"
        "<h3><code>GET /&lt;c&gt;</code></h3><p></p><ul></ul><ul></ul>"
        "<h2>&lt;second&gt;</h2><p>Other.</p>"
        "<h3><code>PUT /a/{b}</code></h3><p></p><ul></ul><ul><li>201: Created</li></ul>"
        "<h3><code>GET /&lt;c&gt;</code></h3><p></p><ul></ul><ul></ul></html>"
    )
    assert re.search("<meta charset=utf-8><title>idaas-sidecar API</title>", page)
