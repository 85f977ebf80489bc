"""The page with the documentation of the routes."""

from __future__ import annotations

import re
from typing import Any

from app.serve import pages


def body(page: str) -> str:
    """Return what a page shows, behind its style."""
    return page.partition("</style>")[2]


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
