"""The documentation of the routes as an HTML page: server-rendered, without scripts and without foreign assets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_STYLE = (
    "body{font:1rem system-ui;margin:2rem}td,th{padding:.3rem .8rem;text-align:left;border-bottom:1px solid #999}"
    "code{font-size:1em}"
)


def docs_page(openapi: Mapping[str, Any]) -> str:
    """Return the OpenAPI document as a page: each listener's routes with their parameters and answers."""
    info = openapi["info"]
    sections = "".join(
        f"<h2>{escape(tag['name'])}</h2><p>{_prose(tag['description'])}</p>{''.join(_operations(openapi, tag['name']))}"
        for tag in openapi["tags"]
    )
    return _page(
        "idaas-sidecar API",
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{_prose(info['description'])}</p>"
        f'<p><a href="openapi.json">openapi.json</a></p>{sections}',
    )


def _operations(openapi: Mapping[str, Any], tag: str) -> Iterator[str]:
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield _operation(method, path, operation)


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parameters = "".join(
        f"<li><code>{escape(item['name'])}</code> ({escape(item['in'])}): {_prose(item.get('description', ''))}</li>"
        for item in operation.get("parameters", ())
    )
    answers = "".join(
        f"<li>{escape(status)}: {_prose(answer['description'])}</li>"
        for status, answer in operation["responses"].items()
    )
    return (
        f"<h3><code>{method.upper()} {escape(path)}</code></h3><p>{_prose(operation.get('description', ''))}</p>"
        f"<ul>{parameters}</ul><ul>{answers}</ul>"
    )


def _prose(text: str) -> str:
    """Return Markdown's backquotes as code, everything else escaped."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))


def _page(title: str, body: str) -> str:
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title>"
        f"<style>{_STYLE}</style>{body}</html>"
    )
